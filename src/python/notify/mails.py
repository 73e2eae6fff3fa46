"""The mails an owner gets: a candidate passed, the gate was missed, tests failed or went wrong by themselves, a version
was promoted, or drift."""

from collections.abc import Iterable, Mapping
from typing import Any

from cli.text import counted
from comparison.changed import Changed
from contracts.record import Record, Verdict
from contracts.verdict import Fault
from notify import commands
from notify.message import Message
from notify.rendering import AS_RECORDED, Cause, render

_GREEN, _RED, _BLUE, _AMBER = "#1b7f4d", "#b3261e", "#1a5fb4", "#8a5a00"
# Of versions whose state a test does not change.
_PASSED = {
    "production": "It is in production, and stays there.",
    "retired": "It was in production before and is not now; production is unchanged.",
}
_FAILED = {
    "production": "It is in production all the same: users get its answers until you promote another or go back.",
    "retired": "It was in production before and is not now; production is unchanged.",
}
_STATES = {
    "candidate": "a candidate that waits for its tests",
    "tested": "tested, and not promoted yet",
    "rejected": "rejected by an earlier test",
    "production": "in production",
    "retired": "retired from production",
}


def candidate_passed(
    record: Record,
    verdict: Verdict | Mapping[str, Any],
    production: Record | None = None,
    *,
    registry: str = "",
    report: str = "",
    changed: Changed | None = None,
    picture: bytes | None = None,
    cause: Cause = AS_RECORDED,
) -> Message:
    """A candidate passed its tests and waits for a promotion; `production` is the version in use now.

    Where nothing waits, tests are of production's version, or of one that was there before: the mail says so.

    `picture` is its confusion matrix as a PNG; without one the mail draws a table.
    """
    verdict = Verdict.model_validate(verdict)
    return render(
        title=f"{record.model} {record.version} passed its tests",
        lead=_PASSED.get(record.state, "It waits for you: nothing changes for users until you promote it."),
        color=_GREEN,
        record=record,
        production=production,
        verdict=verdict,
        reasons=verdict.reasons,
        report=report,
        commands=[commands.next_step(record, registry)],
        changed=changed,
        picture=picture,
        cause=cause,
    )


def gate_missed(
    record: Record,
    production: Record | None = None,
    *,
    registry: str = "",
    report: str = "",
    changed: Changed | None = None,
    cause: Cause = AS_RECORDED,
) -> Message:
    """A model missed the training gate; the reasons are those of the record's last gate verdict."""
    return render(
        title=f"{record.model} {record.version} missed the gate",
        lead="It was not saved; production is unchanged.",
        color=_RED,
        record=record,
        production=production,
        reasons=record.gate_reasons(),
        report=report,
        commands=[commands.see_status(record, registry)],
        changed=changed,
        cause=cause,
    )


def tests_failed(
    record: Record,
    verdict: Verdict | Mapping[str, Any],
    production: Record | None = None,
    *,
    registry: str = "",
    report: str = "",
    changed: Changed | None = None,
    picture: bytes | None = None,
    cause: Cause = AS_RECORDED,
) -> Message:
    """A model's tests failed; the arguments are those of `candidate_passed`."""
    verdict = Verdict.model_validate(verdict)
    return render(
        title=f"{record.model} {record.version} failed its tests",
        lead=_FAILED.get(record.state, "It can't be promoted; production is unchanged."),
        color=_RED,
        record=record,
        production=production,
        verdict=verdict,
        reasons=verdict.reasons,
        report=report,
        changed=changed,
        picture=picture,
        cause=cause,
        commands=[
            *([commands.go_back(record, registry)] if record.state == "production" else []),
            commands.repeat_tests(record, registry),
        ],
    )


def tests_broken(record: Record, faults: Iterable[Fault], *, registry: str = "", cause: Cause = AS_RECORDED) -> Message:
    """Model tests went wrong by themselves, so nothing was decided about a version. For those who committed the tests
    as well."""
    state = f"Version {record.version} stays what it was: {_STATES.get(record.state, record.state)}."
    return render(
        title=f"{record.model} {record.version}: broken model tests",
        lead=f"The tests are broken, not the model. {state} Fix the tests, then test it again.",
        color=_AMBER,
        record=record,
        production=None,
        reasons=map(str, faults),
        measured=False,
        report="",
        cause=cause,
        commands=[commands.repeat_tests(record, registry)],
    )


def promoted(
    record: Record,
    previous: Record | None,
    *,
    who: str,
    reason: str = "",
    pods: int = 0,
    rollback: bool = False,
    registry: str = "",
    picture: bytes | None = None,
) -> Message:
    """`record` is served now instead of `previous`, on so many `pods`.

    The figures are those of its last test; `picture` is its confusion matrix, as for `candidate_passed`.
    """
    tests = [verdict for verdict in record.verdicts if verdict.kind == "test"]
    before = f" instead of version {previous.version}" if previous else ""
    state = "served" if pods else "in use"
    where = f" by {counted(pods, 'serving pod')}" if pods else ", and servers load it when they next read the registry"
    # After a rollback the verb alone would go back one further.
    to = previous.version if previous and rollback else None
    back = [commands.go_back(record, registry, to)] if previous else []
    return render(
        title=f"{record.model} rolled back to {record.version}"
        if rollback
        else f"{record.model} {record.version} promoted",
        lead=f"Version {record.version} is {state} now{before}{where}; decided by {who}.",
        color=_BLUE,
        record=record,
        production=previous,
        verdict=tests[-1] if tests else None,
        picture=picture,
        reasons=[reason] if reason else [],
        report="",
        commands=[*back, commands.see_status(record, registry)],
        replaced=True,
    )


def drifted(record: Record, reasons: Iterable[str], *, looked: list[str], registry: str = "") -> Message:
    """Recent images no longer resemble those that production's version `record` was tested on.

    `looked` are the flags that say where they were counted.
    """
    return render(
        title=f"{record.model} {record.version}: drift",
        lead="Recent images no longer resemble the test data. Nothing was changed: look at them, and retrain with some "
        "of them once they are labelled.",
        color=_RED,
        record=record,
        production=None,
        reasons=reasons,
        report="",
        commands=[
            commands.see_status(record, registry),
            commands.repeat_drift(record, registry, looked),
        ],
    )
