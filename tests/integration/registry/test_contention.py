"""Several promoters at once: a slice of what benchmarks:contention does."""

from testkit.contention import check_journal, contend
from testkit.storage import BASE, Place


def test_one_promoter_wins_and_the_others_are_told(place: Place) -> None:
    rounds = contend(place, rounds=3, promoters=4)
    assert [each.results for each in rounds if not each.clear] == []
    check_journal(place.open(BASE), 3)
