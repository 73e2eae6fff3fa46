"""Storage that fails: a slice of what benchmarks:faults does at every call."""

from tests.buckets import Proxy
from tests.faults import faults_of, meet
from tests.storage import VERBS, Place, make_base


def test_verb_succeeds_or_ends_with_one_error_and_serves_nothing_wrong(place: Place, proxy: Proxy) -> None:
    make_base(place)
    verbs = list(VERBS.values())
    for order, fault in enumerate(faults_of(place.kind)):
        verb = verbs[order % len(verbs)]
        assert meet(place, proxy, verb, fault, 2 + order, 1)
        assert meet(place, proxy, verb, fault, 12 + order % 5, None)
