"""Runs the model tests on a subject and gathers the verdict: only what the model did counts for or against it."""

import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cli import Bug, InfrastructureError
from contracts.verdict import Fault, Loads, ModelVerdict, OneTest
from evaluation import allowed_for_chance
from serving.client import ClientError, TooSlow, Unavailable
from testing import mistakes
from testing.collector import Collector, Progress
from testing.faults import BrokenTests, Places
from testing.fixtures import Fixtures, compared, intervals, measured
from testing.subject import Subject

SUITES = Path(__file__).parent / "suites"
_ENDED_BY_ITSELF = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
_OPTIONS_OF_OTHERS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")


def run(
    subject: Subject,
    junit: Path,
    suites: Path = SUITES,
    own: Path | None = None,
    progress: Progress = lambda *_: None,
) -> ModelVerdict:
    """The verdict on `subject`: passed or not, the reasons, every test's outcome, and the metrics as served.

    `own` is a folder of tests of the model's own, which run after those of `suites`. Writes JUnit XML to `junit`.

    Raises:
        BrokenTests: no test found anything against the model, and one or more went wrong by themselves, or none ran.
        InfrastructureError: the clone did not answer; nothing is known about the model.
        PodFailed: a program of the clone ended when a test restarted it.
        KeyboardInterrupt, SystemExit: the run was interrupted or terminated.
        Bug: pytest itself failed.
    """
    places, started = Places(suites, own, subject.candidate.model), time.monotonic()
    collector = Collector(subject.candidate.version, places, progress)
    subject.say = collector.aloud(subject.say)
    code, said = _pytest(places, junit, [collector, Fixtures(subject)])
    if isinstance(collector.ended_by, Unavailable):
        raise _no_verdict(subject, collector.ended_by)
    if collector.ended_by is not None:
        raise collector.ended_by
    broken = collector.broken
    reasons = _reasons([test for test in collector.tests if test.outcome == "failed"])
    if not (broken or reasons or code in _ENDED_BY_ITSELF):
        sys.stderr.write(said)
        raise Bug(f"The model tests in {suites} broke off (pytest code {code}); its account above says where.")
    if not reasons:
        broken = broken or _nothing_passed(collector.tests, places)
        if broken:
            raise BrokenTests(subject.candidate.version, broken)
    verdict = ModelVerdict(
        version=subject.candidate.version,
        passed=not reasons,
        reasons=reasons,
        baseline_version=subject.baseline.version if subject.baseline else None,
        too_slow=collector.too_slow,
        tests=collector.tests,
        broken=broken,
        seconds=round(time.monotonic() - started, 2),
    )
    return _with_figures(verdict, subject)


def _pytest(places: Places, junit: Path, plugins: Sequence[object]) -> tuple[int, str]:
    """pytest's exit code and its own account, which nobody needs to see unless it breaks."""
    account = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(account), _unset():
        suites = str(places.suites)
        options = ["--rootdir", suites, "-c", os.devnull, "--confcutdir", suites, "-p", "no:cacheprovider"]
        # Whatever pytest plugins happen to be installed have no part in a verdict.
        options += ["--disable-plugin-autoload", "-p", "no:warnings", "--tb=short", "--color=no"]
        options += [f"--basetemp={folder}/t", f"--junitxml={junit}"]
        code = pytest.main([*map(str, places.folders()), *options], plugins=list(plugins))
    return int(code), account.getvalue()


def _nothing_passed(tests: Sequence[OneTest], places: Places) -> list[Fault]:
    """What is to blame where no test failed and none passed: such a run must not pass a model."""
    if any(test.outcome == "passed" for test in tests):
        return []
    why = "no model test passed: all were skipped" if tests else "it holds no model tests"
    return [Fault(file=places.in_repository(places.suites), name="", error=why)]


def _with_figures(verdict: ModelVerdict, subject: Subject) -> ModelVerdict:
    """With what the tests measured. Held-out images without answers leave no metrics, and fail a model."""
    measured_too = {"latency": subject.measured("load"), "memory": subject.measured("memory")}
    assert isinstance(measured_too["latency"], Loads | None)
    verdict = verdict.model_copy(update=measured_too)
    try:
        answers, before = subject.ask_holdout(), subject.ask_baseline()
    except ClientError as error:
        if isinstance(error, Unavailable) and not isinstance(error, TooSlow):
            raise _no_verdict(subject, error) from None
        reasons = verdict.reasons or [str(error)]
        return verdict.model_copy(update={"passed": False, "reasons": reasons, "mistakes": []})
    found = compared(subject) or []
    return verdict.model_copy(
        update={
            "metrics": measured(subject, answers),
            "baseline": measured(subject, before) if before else None,
            "intervals": intervals(subject, answers),
            "allowed_for_chance": [one.sentence() for one in allowed_for_chance(found)],
            "mistakes": mistakes.worst(subject.holdout, answers, subject.input),
        }
    )


def _reasons(failed: Sequence[OneTest]) -> list[str]:
    """What failed and why; tests that failed for the same reason are told together."""
    by_message: dict[str, list[str]] = {}
    for test in failed:
        by_message.setdefault(test.message, []).append(test.name)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {message}"
        for message, names in by_message.items()
    ]


def _no_verdict(subject: Subject, error: ClientError) -> InfrastructureError:
    return InfrastructureError(
        f"The clone stopped answering, so version {subject.candidate.version} got no verdict; test it again. ({error})"
    )


@contextlib.contextmanager
def _unset() -> Iterator[None]:
    """Without the options that somebody set for pytest runs of their own: they may leave tests out."""
    kept = {name: os.environ.pop(name) for name in _OPTIONS_OF_OTHERS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
