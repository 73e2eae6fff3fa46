"""Promotions and a rollback under requests to two real pods; benchmarks:promotion does a hundred and measures."""

from pathlib import Path

from benchmarks.promotion import LABELS, Bench, measure
from tests.models import write_classifier
from tests.pods import SIZE, picture


def test_no_request_fails_and_every_answer_is_that_of_the_version_it_names(tmp_path: Path) -> None:
    def make_model(number: int, folder: Path) -> None:
        write_classifier(folder, LABELS, SIZE, seed=number)

    bench = Bench(tmp_path, make_model, [picture()], SIZE, models=2)
    with bench.serving(2):
        found = measure(bench, switches=2, requests=200, rate=20, pause=1, say=lambda line: None)
    assert [switch.action for switch in bench.switches] == ["promote", "rollback"] * 2
    assert [switch.version for switch in bench.switches] == [2, 1, 3, 1]
    assert (found.failed, found.unnamed, found.wrong, found.stale) == ([], [], [], [])
    assert found.requests >= 200
