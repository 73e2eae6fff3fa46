"""Storage that fails: a slice of what benchmarks:faults does at every call."""

from testkit.buckets import Proxy
from testkit.faults import faults_of, meet
from testkit.storage import VERBS, Place, make_base


def test_verb_succeeds_or_ends_with_one_error_and_serves_nothing_wrong(place: Place, proxy: Proxy) -> None:
    make_base(place)
    verbs = list(VERBS.values())
    for order, fault in enumerate(faults_of(place.kind)):
        verb = verbs[order % len(verbs)]
        assert meet(place, proxy, verb, fault, 2 + order, 1)
        assert meet(place, proxy, verb, fault, 12 + order % 5, None)
