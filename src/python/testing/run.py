"""Runs the model tests on a subject and gathers the verdict: only what the model did counts for or against it."""

import contextlib
import dataclasses
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import Bug, InfrastructureError
from serving.client import ClientError, TooSlow, Unavailable
from serving.pod import PodFailed
from testing import mistakes
from testing.fixtures import Fixtures, measured
from testing.subject import Subject

SUITES = Path(__file__).parent / "suites"
# What pytest puts before the sentence of an assertion, or of an error that the client raised.
_ERROR_NAME = re.compile(r"^(AssertionError|serving\.client\.errors\.\w+): ")
_OPTIONS_OF_OTHERS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")


class _Collector:
    """Keeps how each test ended, and what ended all of them early though it says nothing about the model."""

    def __init__(self) -> None:
        self.tests: list[dict[str, Any]] = []
        self.broken: list[str] = []
        # An abort, or the clone's silence.
        self.ended_by: BaseException | None = None
        # A request was not answered in time.
        self.too_slow = False

    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        # pytest takes a SystemExit for a failed test, and Unavailable comes as one: neither is the model's doing, and
        # there is no use in going on.
        if call.excinfo is not None and self._ends(call.excinfo.value):
            pytest.exit("no verdict can be made")

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # A signal may also come between two tests.
        self._ends(excinfo.value)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        ended = self._ends(excinfo.value) or self.ended_by is not None
        if not ended and isinstance(excinfo.value, pytest.exit.Exception):
            # Whatever the return code it chose, the tests after it did not run.
            self.broken.append(f"a model test ended the run: {excinfo.value}")

    def _ends(self, error: BaseException | None) -> bool:
        # A test may have wrapped what it met in an error of its own.
        while error is not None:
            if isinstance(error, TooSlow):
                self.too_slow = True  # which the model may be: a failed test like others
                return False
            if _is_abort(error) or isinstance(error, (Unavailable, PodFailed)):
                self.ended_by = error
                return True
            error = error.__cause__ or error.__context__
        return False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A test's own phase always counts; set-up and tear-down only when they go wrong or skip.
        if report.when != "call" and report.passed:
            return
        self.tests.append(
            {
                "name": report.nodeid.split("/")[-1],
                "outcome": report.outcome,
                "seconds": round(report.duration, 3),
                "message": _first_line(report) if not report.passed else "",
            }
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(f"{report.nodeid} can't be loaded: {_first_line(report)}")


def run(subject: Subject, junit: Path, suites: Path = SUITES) -> dict[str, Any]:
    """The verdict on `subject`: passed or not, the reasons, every test's outcome, and the metrics as served.

    Writes JUnit XML to `junit`. A suite that can't be loaded, and a run in which no test passed, fail.

    Metrics and baseline are None where the held-out images got no answers. "too_slow" tells that a request was not
    answered in time, which may be the machine's fault as well as the model's.

    Raises:
        InfrastructureError: the clone did not answer; nothing is known about the model.
        PodFailed: a program of the clone ended when a test restarted it.
        KeyboardInterrupt, SystemExit: the run was interrupted or terminated.
        Bug: pytest itself failed.
    """
    collector, started = _Collector(), time.monotonic()
    # pytest's own account goes to stderr: stdout is for the verdict.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr), _unset():
        options = ["--rootdir", str(suites), "-c", os.devnull, "--confcutdir", str(suites), "-p", "no:cacheprovider"]
        # Whatever pytest plugins happen to be installed have no part in a verdict.
        options += ["--disable-plugin-autoload", "-p", "no:warnings"]
        code = pytest.main(
            [str(suites), *options, "-q", "--no-header", "--tb=short", f"--basetemp={folder}/t", f"--junitxml={junit}"],
            plugins=[collector, Fixtures(subject)],
        )
    if isinstance(collector.ended_by, Unavailable):
        raise _no_verdict(subject, collector.ended_by)
    if collector.ended_by is not None:
        raise collector.ended_by
    if code in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        raise Bug(f"The model tests in {suites} broke off (pytest code {int(code)}); its account above says where.")
    failed = [test for test in collector.tests if test["outcome"] == "failed"]
    reasons = collector.broken + _reasons(failed)
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        reasons.append(f"{suites} holds no model tests")
    elif code != 0 and not reasons:
        reasons.append(f"pytest ended with code {int(code)}")
    elif not reasons and not any(test["outcome"] == "passed" for test in collector.tests):
        reasons.append("no model test passed: all were skipped")
    metrics = baseline = None
    try:
        answers, before = subject.ask_holdout(), subject.ask_baseline()
        metrics = measured(subject, answers).model_dump()
        baseline = measured(subject, before).model_dump() if before else None
    except ClientError as error:
        if isinstance(error, Unavailable) and not isinstance(error, TooSlow):
            raise _no_verdict(subject, error) from None
        reasons = reasons or [str(error)]
    return {
        "version": subject.candidate.version,
        "passed": not reasons,
        "reasons": reasons,
        "baseline_version": subject.baseline.version if subject.baseline else None,
        "metrics": metrics,
        "baseline": baseline,
        "latency": _latency(subject.measured("load")),
        "memory": _as_dict(subject.measured("memory")),
        "mistakes": mistakes.worst(subject.holdout, answers) if metrics else [],
        "too_slow": collector.too_slow,
        "tests": collector.tests,
        "seconds": round(time.monotonic() - started, 2),
    }


def _reasons(failed: list[dict[str, Any]]) -> list[str]:
    """What failed and why; tests that failed for the same reason are told together."""
    by_message: dict[str, list[str]] = {}
    for test in failed:
        by_message.setdefault(test["message"], []).append(test["name"])
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {message}"
        for message, names in by_message.items()
    ]


def _is_abort(error: BaseException) -> bool:
    # How a command leaves at a signal. A suite that calls sys.exit() with a number of its own has just failed.
    code = error.code if isinstance(error, SystemExit) else None
    # pytest's own Interrupted, which it raises when a suite can't be loaded, only descends from KeyboardInterrupt.
    return type(error) is KeyboardInterrupt or (isinstance(code, int) and code > 128)


def _no_verdict(subject: Subject, error: ClientError) -> InfrastructureError:
    return InfrastructureError(
        f"The clone stopped answering, so version {subject.candidate.version} got no verdict; test it again. ({error})"
    )


def _as_dict(found: Any) -> dict[str, Any] | None:
    return dataclasses.asdict(found) if found is not None else None


def _latency(found: Any) -> dict[str, Any] | None:
    return {name: _as_dict(load) for name, load in found.items()} if found else None


@contextlib.contextmanager
def _unset() -> Iterator[None]:
    """Without the options that somebody set for pytest runs of their own: they may leave tests out."""
    kept = {name: os.environ.pop(name) for name in _OPTIONS_OF_OTHERS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _first_line(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):  # a skip: (file, line, reason)
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    # A fixture that does not exist has a representation of its own.
    text = crash.message if crash else getattr(report.longrepr, "errorstring", str(report.longrepr))
    return _ERROR_NAME.sub("", text.strip().splitlines()[0])
