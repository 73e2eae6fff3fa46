"""Killed before and after calls to the storage: a slice of what benchmarks:crashes does at every one of them."""

import pytest

from testkit.crashes import crashes
from testkit.storage import VERBS, Place, Verb, make_base


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_what_is_served_stays_whole_and_the_next_call_ends_it(place: Place, verb: Verb) -> None:
    make_base(place)
    # An odd step, so that kills before a call and after one take turns.
    assert len(list(crashes(place, verb, step=25 if place.kind == "bucket" else 33))) >= 2
