"""Keeps a verdict in the registry: in the version's record, and as page, JSON, JUnit XML and picture in its reports."""

import json
from collections import Counter
from pathlib import Path

from contracts.record import Record, Verdict
from contracts.verdict import ModelVerdict
from registry import Registry, utc_now
from testing import plots, report

_JUDGED = ("candidate", "tested", "rejected")
# What the record's verdict says in detail; the whole account is in the report.
_DETAILS = {
    "metrics",
    "baseline",
    "baseline_version",
    "intervals",
    "allowed_for_chance",
    "dataset",
    "budget",
    "budget_from",
    "model_server",
    "executor",
    "attempts",
    "first_try",
    "broken",
    "report",
}
_PAGE, _JSON, _JUNIT, _CONFUSION = "test.html", "verdict.json", "junit.xml", "confusion.png"


def save(registry: Registry, record: Record, made: ModelVerdict, junit: Path) -> ModelVerdict:
    """Saves the reports, then the verdict, which is returned with the page's place."""
    made = made.model_copy(update={"at": made.at or utc_now()})
    made = made.model_copy(update={"report": registry.save_report(record.version, _PAGE, report.render(made, record))})
    if made.metrics:
        registry.save_report(record.version, _CONFUSION, plots.confusion(made.metrics.confusion, record.labels))
    registry.save_report(record.version, _JUNIT, junit.read_bytes())
    registry.save_report(record.version, _JSON, json.dumps(made.as_json(), indent=1).encode())
    _note(registry, record.version, made)
    return made


def _note(registry: Registry, version: int, made: ModelVerdict) -> None:
    details = made.model_dump(mode="json", include=_DETAILS)
    # How many tests of the common suites, and of the model's own.
    details["suites"] = dict(Counter(test.suite for test in made.tests))
    verdict = Verdict(kind="test", passed=made.passed, reasons=made.reasons, at=made.at or utc_now(), details=details)

    def decide(newest: Record) -> dict[str, object]:
        # By its state now: it may have been promoted while it was tested.
        state = {"state": "tested" if made.passed else "rejected"} if newest.state in _JUDGED else {}
        return {"verdicts": [*newest.verdicts, verdict], **state}

    registry.change(version, decide)
