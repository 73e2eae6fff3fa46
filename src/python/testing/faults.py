"""Whose fault it is that a model test did not pass.

Against the model count an assertion that failed, pytest.fail, and an answer that was wrong or refused. Whatever else a
test, a fixture or an import raises is the test's own fault: it says nothing about the model.
"""

import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import UsageError
from contracts.verdict import Fault
from serving.client import ClientError, UnknownVersion

# Of the common suites and of a model's own tests, as the repository has them.
COMMON = "src/python/testing/suites"
_MOST_TOLD = 3
# What pytest puts before the sentence of an assertion, or of an error that the client raised.
_ERROR_NAME = re.compile(rf"^(AssertionError|{re.escape(ClientError.__module__)}\.\w+|Failed): ")


class BrokenTests(UsageError):
    """Model tests went wrong by themselves, so that nothing is known about the version: there is no verdict."""

    def __init__(self, version: int, faults: Sequence[Fault]) -> None:
        more = f" and {len(faults) - _MOST_TOLD} more" if len(faults) > _MOST_TOLD else ""
        told = "; ".join(map(str, faults[:_MOST_TOLD]))
        super().__init__(
            f"The model tests are at fault, not version {version}: {told}{more}. The version stays as it was; fix the "
            "tests, then test it again."
        )
        self.version, self.faults = version, list(faults)

    def as_json(self) -> dict[str, object]:
        """In the place of a verdict."""
        reasons = [str(fault) for fault in self.faults]
        broken = [fault.model_dump() for fault in self.faults]
        return {"version": self.version, "passed": None, "reasons": reasons, "broken": broken}


@dataclass(frozen=True)
class Places:
    """Where test files lie now, and where the repository has them."""

    suites: Path
    # A model's own tests, and the model's name; its folder has the name's - as _.
    own: Path | None = None
    model: str = ""

    def folders(self) -> list[Path]:
        return [self.suites, *([self.own] if self.own else [])]

    def suite(self, file: Path) -> str:
        return self.model if self.own and file.is_relative_to(self.own) else "common"

    def in_repository(self, file: Path) -> str:
        if self.own and file.is_relative_to(self.own):
            return str(Path("models", self.own.parent.name, self.own.name, file.relative_to(self.own)))
        return str(Path(COMMON, file.relative_to(self.suites))) if file.is_relative_to(self.suites) else file.name

    def name(self, file: Path, nodeid: str) -> str:
        """Of a test: short for the common suites, the whole path for a model's own."""
        test = nodeid.partition("::")[2]
        place = file.name if self.suite(file) == "common" else self.in_repository(file)
        return f"{place}::{test}" if test else place

    def raised_in(self, error: BaseException) -> tuple[Path, int] | None:
        """The line of a test file that `error` went through last, if any."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            file = Path(frame.filename)
            if any(file.is_relative_to(folder) for folder in self.folders()):
                return file, frame.lineno or 0
        return None


def of_model(error: BaseException) -> bool:
    """Whether it counts against the model that a test, or a fixture of it, raised `error`."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(of_model, error.exceptions))
    if isinstance(error, UnknownVersion):
        return False  # a label that the test made up
    return isinstance(error, (AssertionError, pytest.fail.Exception, ClientError))


def told(error: BaseException, places: Places) -> str:
    """What was raised, and on which line of which test file."""
    if isinstance(error, SyntaxError):
        where = f" (line {error.lineno})"
    else:
        at = places.raised_in(error)
        where = f" ({at[0].name}, line {at[1]})" if at else ""
    text = str(error).strip().splitlines()
    beside = isinstance(error, ImportError) and "relative import" in str(error)
    way_out = "; what tests share are fixtures of a conftest.py beside them" if beside else ""
    return f"{type(error).__name__}{': ' + text[0] if text else ''}{where}{way_out}"


def first_line(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test did not pass."""
    if isinstance(report.longrepr, tuple):  # a skip: (file, line, reason)
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    # A fixture that does not exist has a representation of its own.
    text = crash.message if crash else getattr(report.longrepr, "errorstring", str(report.longrepr))
    lines = text.strip().splitlines()
    return _ERROR_NAME.sub("", lines[0]) if lines else "it says nothing"
