"""How the outcome of model tests becomes a verdict; the model is a stand-in that answers from memory."""

import multiprocessing
import xml.etree.ElementTree as ElementTree

import pytest

from registry import Record
from serving.client import Prediction
from testing.subject import Budget, Labelled, Subject

LABELS = ["COVID", "Normal"]


class Served:
    """Answers with the class that the image's bytes spell, as the given version."""

    def classify(self, image, version=None, version_label=None, timeout=10):
        label = image.decode()
        scores = {name: 0.9 if name == label else 0.1 for name in LABELS}
        return Prediction(label, scores, 2 if version_label is None else 1)


def record(version):
    return Record(version=version, model="m", state="candidate", kind="train", labels=LABELS, created="now")


def judge(suites, junit, baseline, queue):
    from testing.run import run

    holdout = [Labelled("a.png", b"COVID", "COVID"), Labelled("b.png", b"Normal", "COVID")]
    subject = Subject(Served(), record(2), record(1) if baseline else None, holdout, Budget(0.6, 0.4, 0.02))
    queue.put(run(subject, junit, suites))


@pytest.fixture
def verdict_on(tmp_path):
    def verdict_on(suite, baseline=False):
        suites = tmp_path / "suites"
        suites.mkdir()
        if suite is not None:
            (suites / "test_it.py").write_text(suite)
        # In a process of its own: pytest inside pytest would share plugins and capture.
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        process = context.Process(target=judge, args=(suites, tmp_path / "junit.xml", baseline, queue))
        process.start()
        verdict = queue.get(timeout=60)
        process.join(timeout=60)
        return verdict

    return verdict_on


def test_passing_tests_pass(verdict_on, tmp_path):
    verdict = verdict_on("def test_it(metrics):\n    assert metrics.accuracy == 0.5\n")
    assert verdict["passed"]
    assert verdict["reasons"] == []
    assert verdict["metrics"]["confusion"] == [[1, 1], [0, 0]]
    assert verdict["tests"][0]["outcome"] == "passed"
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().find(".//testcase").get("name") == "test_it"


def test_failed_assertion_is_the_reason(verdict_on):
    verdict = verdict_on(
        "def test_it(metrics, budget):\n    assert metrics.accuracy >= budget.min_accuracy, 'too low'\n"
    )
    assert not verdict["passed"]
    assert verdict["reasons"] == ["test_it.py::test_it: too low"]


def test_test_that_needs_production_is_skipped_without_one_and_runs_with_one(verdict_on):
    suite = "def test_it(baseline, baseline_metrics):\n    assert baseline.version == 1\n"
    assert verdict_on(suite)["tests"][0]["outcome"] == "skipped"


def test_production_is_measured_on_the_same_images(verdict_on):
    verdict = verdict_on("def test_it(baseline, baseline_metrics):\n    assert baseline_metrics.images == 2\n", True)
    assert verdict["passed"]
    assert verdict["baseline_version"] == 1
    assert verdict["baseline"]["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        ("import no_such_module\n", "can't be loaded"),
        ("def test_it(no_such_fixture):\n    pass\n", "no_such_fixture"),
        ("VALUE = 1\n", "holds no model tests"),
        (None, "holds no model tests"),
    ],
)
def test_suite_that_tests_nothing_never_passes(verdict_on, suite, said):
    verdict = verdict_on(suite)
    assert not verdict["passed"]
    assert any(said in reason for reason in verdict["reasons"]), verdict["reasons"]
