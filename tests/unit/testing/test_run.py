"""How the outcome of model tests becomes a verdict; the model is a stand-in that answers from memory."""

import io
import multiprocessing
import signal
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from contracts.record import Record
from serving.client import Prediction, TooSlow, Unavailable
from testing.subject import Budget, Labelled, Subject

LABELS = ["COVID", "Normal"]


def picture(label):
    """A PNG with `label` behind its end."""
    data = io.BytesIO()
    Image.new("L", (8, 8)).save(data, "PNG")
    return data.getvalue() + label


class Served:
    """Answers with the class that the image's bytes spell, as the given version."""

    def classify(self, image, version=None, version_label=None, timeout=10):
        label = image.rpartition(b"IEND\xaeB`\x82")[2].decode()
        if label == "silence":
            raise Unavailable("No adapter answers.")
        if label == "sleep":
            raise TooSlow("No answer within 10 s.")
        scores = {name: 0.9 if name == label else 0.1 for name in LABELS}
        return Prediction(label, scores, 2 if version_label is None else 1)


def record(version):
    return Record(version=version, model="m", state="candidate", kind="train", labels=LABELS, created="now")


def judge(suites, junit, baseline, last, queue):
    from testing.run import run

    # As commands do it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    holdout = [Labelled(name, picture(label), "COVID") for name, label in (("a.png", b"COVID"), ("b.png", last))]
    try:
        subject = Subject(Served(), None, record(2), record(1) if baseline else None, holdout, Budget(0.6, 0.4, 0.02))
        queue.put(run(subject, junit, suites))
    except BaseException as error:
        queue.put((type(error).__name__, str(error)))


@pytest.fixture
def verdict_on(tmp_path):
    def verdict_on(suite, baseline=False, last=b"Normal"):
        suites = tmp_path / "suites"
        suites.mkdir(exist_ok=True)
        if suite is not None:
            (suites / "test_it.py").write_text(suite)
        # In a process of its own: pytest inside pytest would share plugins and capture.
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        process = context.Process(target=judge, args=(suites, tmp_path / "junit.xml", baseline, last, queue))
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


def test_tests_that_fail_for_the_same_reason_are_told_together(verdict_on):
    verdict = verdict_on("def test_it():\n    assert False, 'bad'\ndef test_another():\n    assert False, 'bad'\n")
    assert verdict["reasons"] == ["test_it.py::test_it and 1 more: bad"]


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


@pytest.mark.parametrize(
    ("suite", "ended"),
    [
        ("import os, signal\ndef test_it():\n    os.kill(os.getpid(), signal.SIGTERM)\n", ("SystemExit", "143")),
        (
            "import os, pytest, signal\n"
            "@pytest.fixture\ndef terminated():\n    yield\n    os.kill(os.getpid(), signal.SIGTERM)\n"
            "def test_it(terminated):\n    pass\n",
            ("SystemExit", "143"),
        ),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n", ("SystemExit", "143")),
        ("import os, signal\ndef test_it():\n    os.kill(os.getpid(), signal.SIGINT)\n", ("KeyboardInterrupt", "")),
    ],
    ids=["terminated in a test", "terminated in a fixture", "terminated between tests", "interrupted"],
)
def test_abort_is_no_verdict(verdict_on, suite, ended):
    assert verdict_on(suite + "def test_another():\n    pass\n") == ended


@pytest.mark.parametrize(
    ("suite", "last"),
    [
        ("def test_it(classify):\n    classify(b'silence')\n", b"Normal"),
        (
            "def test_it(classify):\n    try:\n        classify(b'silence')\n"
            "    except Exception:\n        raise AssertionError('no answer')\n",
            b"Normal",
        ),
        ("def test_it(answers):\n    pass\n", b"silence"),
        ("def test_it():\n    pass\n", b"silence"),
    ],
    ids=["in a test", "wrapped by a test", "in a fixture", "after the tests"],
)
def test_clone_that_stops_answering_is_no_verdict(verdict_on, suite, last):
    kind, said = verdict_on(suite, last=last)
    assert kind == "InfrastructureError"
    assert "version 2 got no verdict" in said
    assert "No adapter answers" in said


def test_answer_that_comes_too_late_is_a_failed_test_and_is_told(verdict_on):
    verdict = verdict_on("def test_it(classify):\n    classify(b'sleep')\ndef test_another():\n    pass\n")
    assert verdict["too_slow"]
    assert verdict["reasons"] == ["test_it.py::test_it: No answer within 10 s."]


def test_held_out_images_without_answers_in_time_leave_no_metrics(verdict_on):
    verdict = verdict_on("def test_it(answers):\n    pass\n", last=b"sleep")
    assert not verdict["passed"]
    assert verdict["metrics"] is None


def test_what_tests_measured_is_in_the_verdict(verdict_on):
    suite = "def test_it(load):\n    assert load.requests == 320\ndef test_production(baseline_load):\n    pass\n"
    latency = verdict_on(suite, baseline=True)["latency"]
    assert set(latency) == {"candidate", "production"}
    assert latency["candidate"]["p50_ms"] <= latency["candidate"]["p95_ms"]
    assert len(latency["candidate"]["samples_ms"]) == latency["candidate"]["requests"]


def test_worst_mistakes_are_in_the_verdict(verdict_on):
    mistakes = verdict_on("def test_it(answers):\n    pass\n")["mistakes"]
    assert [(mistake["name"], mistake["label"], mistake["answered"]) for mistake in mistakes] == [
        ("b.png", "COVID", "Normal")
    ]


def test_pytest_that_breaks_is_no_verdict(verdict_on, tmp_path):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "conftest.py").write_text("import no_such_module\n")
    assert verdict_on("def test_it():\n    pass\n")[0] == "Bug"


@pytest.mark.parametrize(
    "suite", ["import sys\ndef test_it():\n    sys.exit(0)\n", None], ids=["sys.exit", "pytest.exit"]
)
def test_suite_that_ends_the_run_itself_fails(verdict_on, suite):
    first = "import pytest\ndef test_first():\n    pass\ndef test_it():\n    pytest.exit('enough', returncode=0)\n"
    verdict = verdict_on(suite or first)
    assert not verdict["passed"]


@pytest.mark.parametrize("options", ["--collect-only", "-k nothing", "--deselect test_it.py::test_it"])
def test_options_of_the_environment_leave_no_test_out(verdict_on, monkeypatch, options):
    monkeypatch.setenv("PYTEST_ADDOPTS", options)
    verdict = verdict_on("def test_it():\n    assert False, 'bad'\ndef test_another():\n    pass\n")
    assert verdict["reasons"] == ["test_it.py::test_it: bad"]


def test_plugins_of_the_environment_stay_out(verdict_on, monkeypatch, tmp_path):
    (tmp_path / "lenient.py").write_text("def pytest_collection_modifyitems(items):\n    del items[0]\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTEST_PLUGINS", "lenient")
    verdict = verdict_on("def test_it():\n    assert False, 'bad'\ndef test_another():\n    pass\n")
    assert verdict["reasons"] == ["test_it.py::test_it: bad"]


def test_run_in_which_nothing_passed_does_not_pass(verdict_on):
    verdict = verdict_on("import pytest\ndef test_it():\n    pytest.skip('not today')\n")
    assert verdict["reasons"] == ["no model test passed: all were skipped"]
