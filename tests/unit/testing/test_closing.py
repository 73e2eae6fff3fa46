"""The last lines say how it went, with figures, and what comes next."""

import pytest

from contracts.record import Metrics
from contracts.verdict import Intervals, ModelVerdict, OneTest
from testing import closing
from tests.unit.testing.records import record

LABELS = ["COVID", "Normal"]


def verdict(passed=True, **fields):
    one = {"precision": 1, "recall": 0.9, "f1": 1, "support": 20}
    metrics = Metrics(accuracy=0.9, images=40, per_class=dict.fromkeys(LABELS, one), confusion=[[18, 2], [2, 18]])
    tests = [OneTest(name="a", outcome="passed", seconds=1), OneTest(name="b", outcome="failed", seconds=1, suite="m")]
    known = {
        "metrics": metrics,
        "intervals": Intervals(accuracy=(0.77, 0.96)),
        "tests": tests,
        "report": "/r/test.html",
    }
    return ModelVerdict(version=3, passed=passed, **(known | fields))


def test_figures_are_told_with_their_interval_and_production_beside():
    lines = closing.lines(
        verdict(baseline=Metrics(accuracy=0.85, images=40, per_class={}, confusion=[]), baseline_version=2),
        record(3, LABELS, state="tested"),
    )
    assert lines[0] == "1 passed, 1 failed, 0 skipped (1 of the model's own); report: /r/test.html"
    assert lines[1] == (
        "Version 3: accuracy 0.900 as served (0.770 to 0.960), production's version 2 0.850; "
        "recall COVID 0.900, Normal 0.900"
    )


def test_what_was_allowed_for_chance_is_told():
    assert "Allowed for chance: recall may be worse" in closing.lines(
        verdict(allowed_for_chance=["recall may be worse"]), record(3, LABELS, state="tested")
    )


@pytest.mark.parametrize(
    ("passed", "state", "command"),
    [
        (True, "tested", "src/python/promote -- run --version 3 --model m --registry 'a b'"),
        (False, "rejected", "src/python/testing:test_model -- --version 3 --model m --registry 'a b'"),
        (True, "production", "src/python/promote -- status --model m --registry 'a b'"),
        (False, "production", "src/python/promote -- status --model m --registry 'a b'"),
        (True, "retired", "src/python/promote -- rollback --to 3 --model m --registry 'a b'"),
    ],
)
def test_last_line_is_the_command_that_comes_next(passed, state, command):
    lines = closing.lines(verdict(passed), record(3, LABELS, state=state), ["--model", "m", "--registry", "a b"])
    assert lines[-1].endswith(f": ./pants run {command}")


def test_test_that_is_to_be_repeated_names_its_images_and_gates():
    again = ["--dataset", "my images", "--min-accuracy", "0.7"]
    said = closing.lines(verdict(False), record(3, LABELS, state="rejected"), ["--model", "m"], again)[-1]
    assert said.endswith("--version 3 --model m --dataset 'my images' --min-accuracy 0.7")
    assert "--dataset" not in closing.lines(verdict(), record(3, LABELS, state="tested"), [], again)[-1]


def test_version_whose_checks_were_left_out_is_promoted_as_such():
    unchecked = record(3, LABELS, state="tested", checked=False)
    assert "run --version 3 --unchecked" in closing.lines(verdict(), unchecked)[-1]
