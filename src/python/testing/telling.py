"""Mails about a test that was started by hand with --mail; `pipeline run` writes its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import notify
from contracts.record import Record
from contracts.verdict import Fault, ModelVerdict
from settings.schema import Mail


@dataclass(frozen=True)
class Teller:
    """Tells how a test of `record` ended, whose registry is at `registry`; `say` hears why a mail was not sent."""

    mail: Mail
    registry: str
    record: Record
    say: Callable[[str], None]

    def verdict(self, made: ModelVerdict) -> None:
        """To the owner; and to those who committed them, of tests that went wrong beside others that failed."""
        self._tell("candidate_passed" if made.passed else "tests_failed", made.report)
        if made.broken:
            self.broken(made.broken)

    def broken(self, faults: Sequence[Fault]) -> None:
        """To the owner, and to those who committed the tests."""
        files = tuple(dict.fromkeys(fault.file for fault in faults))
        self._tell("tests_broken", about=notify.Run(test_files=files, faults=faults))

    def _tell(self, kind: notify.Kind, report: str = "", about: notify.Run | None = None) -> None:
        notify.tell(self.mail, self.registry, self.record.model, kind, self.record.version, report, self.say, about)
