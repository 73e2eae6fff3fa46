"""How the outcome of model tests becomes a verdict; the model is a stand-in that answers from memory."""

import io
import multiprocessing
import os
import signal
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from serving.client import BadImage, Prediction, TooSlow, Unavailable, UnknownVersion
from testing import quiet
from testing.faults import BrokenTests
from testing.subject import Labelled, Subject
from tests.unit.testing.records import budget, record

LABELS = ["COVID", "Normal"]
PRELOADED = [
    "testing.run",
    "sklearn.metrics",
    "scipy.stats",
    "PIL.Image",
    "imaging.array",
    "tests.unit.testing.records",
]


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
        if label == "refusal":
            raise BadImage("No image.")
        if version_label == "canary":
            raise UnknownVersion("No version carries the label canary.")
        if label == "sleep":
            raise TooSlow("No answer within 10 s.")
        if label == "both":  # which only production knows
            label = "COVID" if version_label else "Normal"
        scores = {name: 0.9 if name == label else 0.1 for name in LABELS}
        return Prediction(label, scores, 2 if version_label is None else 1)


def aloud(text):
    print(text, file=sys.stderr, flush=True)


def judge(suites, junit, baseline, last, own, queue):
    from testing.run import run

    # As commands do it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    holdout = [Labelled(name, picture(label), "COVID") for name, label in (("a.png", b"COVID"), ("b.png", last))]
    os.dup2(os.open(junit.with_name("stderr"), os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
    try:
        production, limits = record(1, LABELS) if baseline else None, budget(min_accuracy=0.6, min_recall=0.4)
        subject = Subject(Served(), None, record(2, LABELS), production, holdout, limits, aloud)
        done = []
        verdict = run(subject, junit, suites, own, lambda *now: done.append(now))
        assert done[-1][0] == done[-1][1] == len(done), done
        queue.put(verdict)
    except BrokenTests as error:
        queue.put(error.faults)
    except BaseException as error:
        queue.put((type(error).__name__, str(error)))


@pytest.fixture
def verdict_on(tmp_path):
    def verdict_on(suite, baseline=False, last=b"Normal", own=None, **files):
        suites = tmp_path / "suites"
        suites.mkdir(exist_ok=True)
        (suites / "__init__.py").touch()
        folder = tmp_path / "models" / "m_x" / "tests" if own is not None else None
        for name, text in {"test_it": suite, **files}.items():
            if text is not None:
                (suites / f"{name}.py").write_text(text)
        for name, text in (own or {}).items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.py").write_text(text)
        # In a process of its own: pytest inside pytest would share plugins and capture. It is forked from one that has
        # imported what takes long.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        queue = context.Queue()
        process = context.Process(target=judge, args=(suites, tmp_path / "junit.xml", baseline, last, folder, queue))
        process.start()
        verdict = queue.get(timeout=120)
        process.join(timeout=60)
        return verdict

    return verdict_on


def test_passing_tests_pass(verdict_on, tmp_path):
    verdict = verdict_on("def test_it(metrics):\n    assert metrics.accuracy == 0.5\n")
    assert verdict.passed
    assert verdict.reasons == []
    assert verdict.metrics.confusion == [[1, 1], [0, 0]]
    assert verdict.tests[0].outcome == "passed"
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().find(".//testcase").get("name") == "test_it"


def test_failed_assertion_is_the_reason(verdict_on):
    verdict = verdict_on(
        "def test_it(metrics, budget):\n    assert metrics.accuracy >= budget.min_accuracy, 'too low'\n"
    )
    assert not verdict.passed
    assert verdict.reasons == ["test_it.py::test_it: too low"]


def test_tests_that_fail_for_the_same_reason_are_told_together(verdict_on):
    verdict = verdict_on("def test_it():\n    assert False, 'bad'\ndef test_another():\n    assert False, 'bad'\n")
    assert verdict.reasons == ["test_it.py::test_it and 1 more: bad"]


def test_test_that_needs_production_is_skipped_without_one_and_runs_with_one(verdict_on):
    suite = "def test_it(baseline, baseline_metrics):\n    assert baseline.version == 1\ndef test_other():\n    pass\n"
    assert [test.outcome for test in verdict_on(suite).tests] == ["skipped", "passed"]


def test_production_is_measured_on_the_same_images(verdict_on):
    verdict = verdict_on("def test_it(baseline, baseline_metrics):\n    assert baseline_metrics.images == 2\n", True)
    assert verdict.passed
    assert verdict.baseline_version == 1
    assert verdict.baseline.accuracy == 0.5


# What a test does that counts against the model, and what it says of itself then.
AGAINST_THE_MODEL = {
    "assertion": ("def test_it():\n    assert False, 'bad'\n", "bad"),
    "assertion of a fixture": (
        "import pytest\n@pytest.fixture\ndef it():\n    assert False, 'bad'\ndef test_it(it):\n    pass\n", "bad"
    ),
    "pytest.fail": ("import pytest\ndef test_it():\n    pytest.fail('bad')\n", "bad"),
    "pytest.raises": ("import pytest\ndef test_it():\n    with pytest.raises(KeyError):\n        pass\n", "KeyError"),
    "refusal": ("def test_it(classify):\n    classify(b'refusal')\n", "No image."),
    "several assertions": (
        "def test_it():\n    raise ExceptionGroup('bad', [AssertionError('a'), AssertionError('b')])\n", "bad"
    ),
    "assertion in tear-down": (
        "import pytest\n@pytest.fixture\ndef it():\n    yield\n    assert False, 'bad'\ndef test_it(it):\n    pass\n",
        "bad",
    ),
}  # fmt: skip


def all_of(cases):
    """The cases' tests as one suite, each in a module of its own: one run of pytest for all."""
    return {f"test_{name.replace(' ', '_').replace('.', '_')}": case[0] for name, case in cases.items()}


def test_what_a_test_says_against_the_model_fails_it(verdict_on):
    verdict = verdict_on(None, **all_of(AGAINST_THE_MODEL))
    assert not verdict.passed and verdict.broken == []
    failed = {test.name.partition(".py")[0]: test.message for test in verdict.tests if test.outcome == "failed"}
    for module, (_, said) in zip(all_of(AGAINST_THE_MODEL), AGAINST_THE_MODEL.values(), strict=True):
        assert said in failed.pop(module)
    assert failed == {}


# What goes wrong by itself while it runs, and what is told.
ITS_OWN_FAULT = {
    "error": ("def test_it():\n    {}['x']\n", "KeyError: 'x' (test_error.py, line 2)"),
    "error of a fixture": (
        "import pytest\n@pytest.fixture\ndef it():\n    1 / 0\ndef test_it(it):\n    pass\n",
        "ZeroDivisionError: division by zero (test_error_of_a_fixture.py, line 4)",
    ),
    "error in tear-down": (
        "import pytest\n@pytest.fixture\ndef it():\n    yield\n    1 / 0\ndef test_it(it):\n    pass\n",
        "ZeroDivisionError: division by zero (test_error_in_tear-down.py, line 5)",
    ),
    "no such fixture": ("def test_it(no_such_fixture):\n    pass\n", "fixture 'no_such_fixture' not found"),
    "no such label": (
        "def test_it(classify):\n    classify(b'COVID', version_label='canary')\n",
        "UnknownVersion: No version carries the label canary. (test_no_such_label.py, line 2)",
    ),
    "error around": (
        "def test_it():\n    try:\n        assert False\n    except AssertionError as e:\n"
        "        raise ValueError('x') from e\n",
        "ValueError: x (test_error_around.py, line 5)",
    ),
    "error among": (
        "def test_it():\n    raise ExceptionGroup('bad', [AssertionError('a'), KeyError('b')])\n",
        "ExceptionGroup: bad (2 sub-exceptions) (test_error_among.py, line 2)",
    ),
    "exit": ("import sys\ndef test_it():\n    sys.exit(0)\n", "SystemExit: 0 (test_exit.py, line 3)"),
}  # fmt: skip


def test_what_goes_wrong_in_a_test_itself_is_no_verdict(verdict_on):
    faults = {fault.file: fault for fault in verdict_on("def test_it():\n    pass\n", **all_of(ITS_OWN_FAULT))}
    for module, (_, said) in zip(all_of(ITS_OWN_FAULT), ITS_OWN_FAULT.values(), strict=True):
        fault = faults.pop(f"src/python/testing/suites/{module}.py")
        assert (fault.name, fault.error) == ("test_it", said)
    assert faults == {}


# What can't even be imported.
UNREADABLE = {
    "import": (
        "import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' (test_import.py, line 1)"
    ),
    "assertion": ("assert 1 == 2, 'x'\n", "AssertionError: x"),
    "syntax": ("def test_it(:\n", "SyntaxError: invalid syntax"),
}  # fmt: skip


def test_what_can_not_be_loaded_is_no_verdict(verdict_on):
    faults = verdict_on("def test_it():\n    assert False\n", **all_of(UNREADABLE))
    assert sorted(fault.file for fault in faults) == [
        f"src/python/testing/suites/{m}.py" for m in sorted(all_of(UNREADABLE))
    ]
    for module, (_, said) in zip(all_of(UNREADABLE), UNREADABLE.values(), strict=True):
        (error,) = (fault.error for fault in faults if fault.file.endswith(f"/{module}.py"))
        assert error.startswith(f"it can't be loaded: {said}"), error


def test_import_of_a_file_beside_a_models_own_test_names_the_way_out(verdict_on):
    own = {"test_own": "from .helpers import x\ndef test_it():\n    pass\n", "helpers": "x = 1\n"}
    (fault,) = verdict_on("def test_it():\n    pass\n", own=own)
    assert fault.file == "models/m_x/tests/test_own.py"
    assert fault.error.endswith("; what tests share are fixtures of a conftest.py beside them")
    shared = {
        "conftest": "import pytest\n@pytest.fixture\ndef x():\n    return 1\n",
        "test_own": "def test_it(x):\n    assert x\n",
    }
    assert verdict_on("def test_it():\n    pass\n", own=shared | {"helpers": ""}).passed


def test_test_that_ends_the_run_is_no_verdict(verdict_on):
    suite = "import pytest\ndef test_a():\n    pass\ndef test_it():\n    pytest.exit('enough', returncode=0)\n"
    (fault,) = verdict_on(suite)
    assert (fault.file, fault.error) == ("src/python/testing/suites/test_it.py", "it ended the run: enough")


def test_conftest_that_goes_wrong_is_no_verdict(verdict_on):
    (fault,) = verdict_on("def test_it():\n    pass\n", conftest="import no_such_module\n")
    assert fault.file == "src/python/testing/suites/conftest.py"
    assert fault.error.startswith("it can't be loaded: ModuleNotFoundError")


def test_conftest_that_leaves_is_no_verdict(verdict_on):
    """It would end the command with exit code 0, as if the tests had passed."""
    own = {"test_own": "def test_own():\n    pass\n", "conftest": "import sys\nsys.exit(0)\n"}
    (fault,) = verdict_on("def test_it():\n    pass\n", own=own)
    assert fault.file == "models/m_x/tests/conftest.py"
    assert fault.error == "it can't be loaded: SystemExit: 0 (conftest.py, line 2)"


@pytest.mark.parametrize(
    "suite",
    [
        "import threading\ndef test_it():\n    threading.Event().wait()\n",
        "import pytest, time\n@pytest.fixture\ndef it():\n    time.sleep(600)\ndef test_it(it):\n    pass\n",
    ],
    ids=["a test", "a fixture"],
)
def test_what_does_not_end_is_no_verdict_and_the_next_test_runs(verdict_on, suite):
    limit = "import testing.collector\ntesting.collector.MOST_SECONDS = 0.6\n"
    (fault,) = verdict_on(suite + "def test_next():\n    pass\n", conftest=limit)
    assert (fault.file, fault.name) == ("src/python/testing/suites/test_it.py", "test_it")
    assert fault.error.startswith("Hangs: it did not end within 0.01 minutes (test_it.py, line")


def test_import_that_does_not_end_is_no_verdict(verdict_on):
    limit = "import testing.collector\ntesting.collector.MOST_SECONDS = 0.6\n"
    (fault,) = verdict_on("import time\ntime.sleep(600)\ndef test_it():\n    pass\n", conftest=limit)
    assert fault.error == "it can't be loaded: Hangs: it did not end within 0.01 minutes (test_it.py, line 2)"


def test_hook_of_a_conftest_that_goes_wrong_is_no_verdict(verdict_on):
    own = {"test_own": "def test_own():\n    pass\n", "conftest": "def pytest_collection_modifyitems():\n    1 / 0\n"}
    (fault,) = verdict_on("def test_it():\n    pass\n", own=own)
    assert fault.file == "models/m_x/tests/conftest.py"
    assert fault.error == "ZeroDivisionError: division by zero (conftest.py, line 2)"


def test_test_that_goes_wrong_beside_one_that_fails_is_told_and_changes_nothing(verdict_on):
    verdict = verdict_on("def test_it():\n    {}['x']\ndef test_another():\n    assert False, 'bad'\n")
    assert verdict.reasons == ["test_it.py::test_another: bad"]
    assert [fault.name for fault in verdict.broken] == ["test_it"]
    assert [test.outcome for test in verdict.tests] == ["broken", "failed"]


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        ("VALUE = 1\n", "holds no model tests"),
        ("import pytest\ndef test_it():\n    pytest.skip('not today')\n", "no model test passed: all were skipped"),
    ],
)
def test_suite_that_tests_nothing_never_passes(verdict_on, suite, said):
    (fault,) = verdict_on(suite)
    assert said in fault.error
    assert fault.file == "src/python/testing/suites"


def test_tests_of_the_models_own_run_beside_the_common_ones_and_are_told_apart(verdict_on):
    own = {
        "test_it": "from helper import LABEL\ndef test_own(metrics):\n    assert LABEL == 'mine', 'not mine'\n",
        "helper": "LABEL = 'yours'\n",
    }
    suite = (
        "import pytest\ndef test_it(metrics):\n    assert metrics.images == 2\n"
        "@pytest.mark.parametrize('x', ['a/b::c'])\ndef test_odd(x):\n    pass\n"
    )
    verdict = verdict_on(suite, own=own)
    assert [(test.name, test.suite, test.outcome) for test in verdict.tests] == [
        ("test_it.py::test_it", "common", "passed"),
        ("test_it.py::test_odd[a/b::c]", "common", "passed"),
        ("models/m_x/tests/test_it.py::test_own", "m", "failed"),
    ]
    assert verdict.reasons == ["models/m_x/tests/test_it.py::test_own: not mine"]


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
    assert verdict.too_slow
    assert verdict.reasons == ["test_it.py::test_it: No answer within 10 s."]


def test_held_out_images_without_answers_in_time_leave_no_metrics(verdict_on):
    verdict = verdict_on("def test_it(answers):\n    pass\n", last=b"sleep")
    assert not verdict.passed
    assert verdict.metrics is None


def test_what_tests_measured_is_in_the_verdict(verdict_on):
    suite = "def test_it(load):\n    assert load.requests == 320\ndef test_production(baseline_load):\n    pass\n"
    latency = verdict_on(suite, baseline=True).latency
    assert latency.candidate and latency.production
    assert latency.candidate.p50_ms <= latency.candidate.p95_ms
    assert len(latency.candidate.samples_ms) == latency.candidate.requests


def test_worst_mistakes_are_in_the_verdict(verdict_on):
    mistakes = verdict_on("def test_it(answers):\n    pass\n").mistakes
    assert [(mistake.name, mistake.label, mistake.answered) for mistake in mistakes] == [("b.png", "COVID", "Normal")]


@pytest.mark.parametrize("options", ["--collect-only", "-k nothing", "--deselect test_it.py::test_it"])
def test_options_of_the_environment_leave_no_test_out(verdict_on, monkeypatch, options):
    monkeypatch.setenv("PYTEST_ADDOPTS", options)
    verdict = verdict_on("def test_it():\n    assert False, 'bad'\ndef test_another():\n    pass\n")
    assert verdict.reasons == ["test_it.py::test_it: bad"]


def test_plugins_of_the_environment_stay_out(verdict_on, monkeypatch, tmp_path):
    (tmp_path / "lenient.py").write_text("def pytest_collection_modifyitems(items):\n    del items[0]\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTEST_PLUGINS", "lenient")
    verdict = verdict_on("def test_it():\n    assert False, 'bad'\ndef test_another():\n    pass\n")
    assert verdict.reasons == ["test_it.py::test_it: bad"]


def test_intervals_hold_the_figures(verdict_on):
    """And what may be chance is told: production knows one more of the two images, a half of them."""
    verdict = verdict_on("def test_it(comparison):\n    pass\n", baseline=True, last=b"both")
    low, high = verdict.intervals.accuracy
    assert low < verdict.metrics.accuracy == 0.5 < high
    assert set(verdict.intervals.recall) == set(LABELS)
    assert verdict.passed
    assert verdict.allowed_for_chance[0] == (
        "accuracy 0.500 falls behind production's 1.000 on the same 2 images, which may be chance (1 lost, 0 gained, "
        "p = 1.000)"
    )


def test_waiting_is_heard_while_a_test_runs_and_nothing_of_pytests_own(verdict_on, tmp_path):
    heard, there = tmp_path / "stderr", threading.Event()
    heard.touch()

    def measure_until_the_other_waits():
        with quiet.alone():
            there.set()
            while "waiting for it" not in heard.read_text():
                time.sleep(0.05)

    threading.Thread(target=measure_until_the_other_waits, daemon=True).start()
    assert there.wait(60)
    assert verdict_on("def test_it(load):\n    assert load\n    print('by the test')\n").passed
    assert heard.read_text() == "Another test of a model measures load on this machine; waiting for it\n"
