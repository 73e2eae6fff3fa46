"""A pytest plugin that keeps how each model test ended, and whose doing it was."""

import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from contracts.verdict import Fault, OneTest
from serving.client import TooSlow, Unavailable
from serving.pod import PodFailed
from testing import apart
from testing.faults import BrokenTests, Places, first_line, of_model, told

# A test has with its fixtures; whoever is slow to answer is told by the client long before.
MOST_SECONDS = 3600.0
# Tests done, of how many, and the one that was done last.
Progress = Callable[[int, int, str], None]


class Hangs(Exception):
    """A test did not end."""


class Collector:
    """What pytest's hooks tell of one run."""

    def __init__(self, version: int, places: Places, progress: Progress = lambda *_: None) -> None:
        self._version, self._places, self._progress = version, places, progress
        self.tests: list[OneTest] = []
        self.broken: list[Fault] = []
        # An abort, or the clone's silence.
        self.ended_by: BaseException | None = None
        # A request was not answered in time.
        self.too_slow = False
        self._done = self._all = 0
        self._capture: Any = None

    def aloud(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """`say`, heard while a test runs, though pytest keeps what is printed meanwhile to itself."""

        def said(text: str) -> None:
            with self._capture.global_and_fixture_disabled() if self._capture else nullcontext():
                say(text)

        return said

    def pytest_configure(self, config: pytest.Config) -> None:
        self._capture = config.pluginmanager.getplugin("capturemanager")

    @pytest.hookimpl(wrapper=True)
    def pytest_load_initial_conftests(self) -> Generator[None, Any, Any]:
        try:
            with self._at((self._places.own or self._places.suites) / "conftest.py"):
                return (yield)
        # sys.exit() in a conftest.py would end the command, and as if the tests had passed.
        except (Exception, SystemExit) as error:
            # pytest's own error around it names the file.
            file, cause = getattr(error, "path", None), error.__cause__ or error.__context__
            if isinstance(error, SystemExit) and not _is_abort(error):
                at = self._places.raised_in(error)
                file, cause = (at[0] if at else self._places.suites), error
            if file is None or cause is None:
                raise
            self._blame(Path(file), "", f"it can't be loaded: {told(cause, self._places)}")
            raise BrokenTests(self._version, self.broken) from None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """A test that waits for ever must not keep the run waiting with it, nor end the program unseen."""
        with _ended_after(MOST_SECONDS), self._at(item.path, item.name):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        with _ended_after(MOST_SECONDS), self._at(collector.path):
            report = yield
        if report.failed:
            error = report.call.excinfo.value
            # Around most of what an import raises stands an error of pytest's with a text of many lines.
            self._blame(collector.path, "", f"it can't be loaded: {told(error.__cause__ or error, self._places)}")
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        # pytest takes a SystemExit for a failed test, and Unavailable comes as one: neither is the model's doing, and
        # there is no use in going on.
        if error is not None and self._ends(error):
            pytest.exit("no verdict can be made")
        if report.failed and error is not None and not of_model(error):
            lookup = isinstance(error, pytest.FixtureLookupError)
            self._blame(item.path, item.name, first_line(report) if lookup else told(error, self._places))
            report.broken = True  # type: ignore[attr-defined]
        report.place = self._places.name(item.path, str(item.nodeid))  # type: ignore[attr-defined]
        report.suite = self._places.suite(item.path)  # type: ignore[attr-defined]
        return report

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # A signal may also come between two tests.
        at = None if self._ends(excinfo.value) else self._places.raised_in(excinfo.value)
        if at:  # a hook of a conftest.py
            self._blame(at[0], "", told(excinfo.value, self._places))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        ended = self._ends(excinfo.value) or self.ended_by is not None
        if not ended and isinstance(excinfo.value, pytest.exit.Exception):
            # Whatever the return code it chose, the tests after it did not run.
            file, _ = self._places.raised_in(excinfo.value) or (self._places.suites, 0)
            self._blame(file, "", f"it ended the run: {excinfo.value}")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._all = len(session.items)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "teardown":
            self._done += 1
            self._progress(self._done, self._all, report.place.rpartition("/")[2])
        # A test's own phase always counts; set-up and tear-down only when they go wrong or skip.
        if report.when == "call" or not report.passed:
            self.tests.append(
                OneTest(
                    name=report.place,
                    outcome="broken" if getattr(report, "broken", False) else report.outcome,
                    seconds=round(report.duration, 3),
                    message=first_line(report) if not report.passed else "",
                    suite=report.suite,
                )
            )

    @contextmanager
    def _at(self, file: Path, name: str = "") -> Iterator[None]:
        """Within it, what ends the program is this file's or test's doing."""
        apart.tell(file=self._places.in_repository(file), name=name)
        try:
            yield
        finally:
            apart.tell(file="", name="")

    def _blame(self, file: Path, name: str, error: str) -> None:
        self.broken.append(Fault(file=self._places.in_repository(file), name=name, error=error))

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


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Raises Hangs in what runs within it for longer; there, as it is the fault of what runs there."""

    def end(*_: object) -> None:
        raise Hangs(f"it did not end within {seconds / 60:g} minutes")

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled by the main thread alone
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_abort(error: BaseException) -> bool:
    # How a command leaves at a signal. A suite that calls sys.exit() with a number of its own has just failed.
    code = error.code if isinstance(error, SystemExit) else None
    # pytest's own Interrupted, which it raises when a suite can't be loaded, only descends from KeyboardInterrupt.
    return type(error) is KeyboardInterrupt or (isinstance(code, int) and code > 128)
