"""Runs the model tests on a subject and gathers the verdict."""

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from testing.fixtures import Fixtures, measured
from testing.subject import Subject

SUITES = Path(__file__).parent / "suites"
_PYTEST_COLLECTED_NOTHING = 5


class _Collector:
    """Keeps how each test ended."""

    def __init__(self) -> None:
        self.tests: list[dict[str, Any]] = []
        self.broken: list[str] = []

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

    Writes JUnit XML to `junit`. A suite that can't be loaded, and a folder without tests, fail.
    """
    collector, started = _Collector(), time.monotonic()
    # pytest's own account goes to stderr: stdout is for the verdict.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        options = ["--rootdir", str(suites), "-c", os.devnull, "--confcutdir", str(suites), "-p", "no:cacheprovider"]
        # Whatever pytest plugins happen to be installed have no part in a verdict.
        options.append("--disable-plugin-autoload")
        code = pytest.main(
            [str(suites), *options, "-q", "--no-header", "--tb=short", f"--basetemp={folder}/t", f"--junitxml={junit}"],
            plugins=[collector, Fixtures(subject)],
        )
    failed = [test for test in collector.tests if test["outcome"] == "failed"]
    reasons = collector.broken + [f"{test['name']}: {test['message']}" for test in failed]
    if code == _PYTEST_COLLECTED_NOTHING:
        reasons.append(f"{suites} holds no model tests")
    elif code != 0 and not reasons:
        reasons.append(f"pytest ended with code {int(code)}")
    baseline = subject.ask_baseline()
    return {
        "version": subject.candidate.version,
        "passed": not reasons,
        "reasons": reasons,
        "baseline_version": subject.baseline.version if subject.baseline else None,
        "metrics": measured(subject, subject.ask_holdout()).model_dump(),
        "baseline": measured(subject, baseline).model_dump() if baseline else None,
        "tests": collector.tests,
        "seconds": round(time.monotonic() - started, 2),
    }


def _first_line(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):  # a skip: (file, line, reason)
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    # A fixture that does not exist has a representation of its own.
    text = crash.message if crash else getattr(report.longrepr, "errorstring", str(report.longrepr))
    return text.strip().splitlines()[0].removeprefix("AssertionError: ")
