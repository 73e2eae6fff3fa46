"""The mails an owner gets: a candidate passed, the gate was missed, tests failed or went wrong by themselves, a version
was promoted, or drift."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from cli.text import counted, one_line, ordinal
from comparison.changed import Changed, Commit
from comparison.figures import Figures, change, figures
from contracts.record import Record, Verdict
from contracts.verdict import Fault
from notify import links
from notify.message import Message, Picture
from notify.tables import heat, in_words, rows

_GREEN, _RED, _BLUE, _AMBER = "#1b7f4d", "#b3261e", "#1a5fb4", "#8a5a00"
# A failed test may say much; a mail is no log.
_LONGEST_REASON = 1000
# Of versions whose state a test does not change.
_PASSED = {
    "production": "It is in production, and stays there.",
    "retired": "It was in production before, and is not now; production is as it was.",
}
_FAILED = {
    "production": "It is in production all the same: users get its answers until you promote another or go back.",
    "retired": "It was in production before, and is not now; production is as it was.",
}


_STATES = {
    "candidate": "a candidate that waits for its tests",
    "tested": "tested, and not promoted yet",
    "rejected": "rejected by an earlier test",
    "production": "in production",
    "retired": "retired from production",
}


@dataclass(frozen=True)
class Cause:
    """Why the run happened that a mail is about, and the commits of the model tests that it is about."""

    # Empty: as the record says, of the run that made the version.
    why: str = ""
    commits: tuple[Commit, ...] = ()


_AS_RECORDED = Cause()


@dataclass(frozen=True)
class Command:
    """A line for the owner to paste into a shell."""

    what: str
    line: str


def candidate_passed(
    record: Record,
    verdict: Verdict | Mapping[str, Any],
    production: Record | None = None,
    *,
    registry: str = "",
    report: str = "",
    changed: Changed | None = None,
    picture: bytes | None = None,
    cause: Cause = _AS_RECORDED,
) -> Message:
    """A candidate passed its tests and waits for a promotion; `production` is the version in use now.

    Where nothing waits, tests are of production's version, or of one that was there before: the mail says so.

    `picture` is its confusion matrix as a PNG; without one the mail draws a table.
    """
    verdict = Verdict.model_validate(verdict)
    return _render(
        title=f"{record.model} {record.version} passed its tests",
        lead=_PASSED.get(record.state, "It waits for you: nothing changes for users until you promote it."),
        color=_GREEN,
        record=record,
        production=production,
        verdict=verdict,
        reasons=verdict.reasons,
        report=report,
        commands=[_next(record, registry)],
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
    cause: Cause = _AS_RECORDED,
) -> Message:
    """A model fell short of the training gate; the reasons are those of the record's last gate verdict."""
    return _render(
        title=f"{record.model} {record.version} fell short of the gate",
        lead="It was not saved; production is as it was.",
        color=_RED,
        record=record,
        production=production,
        reasons=record.gate_reasons(),
        report=report,
        commands=[_promote("See what is served", "status", record, registry, version=False)],
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
    cause: Cause = _AS_RECORDED,
) -> Message:
    """A model's tests failed; the arguments are those of `candidate_passed`."""
    verdict = Verdict.model_validate(verdict)
    return _render(
        title=f"{record.model} {record.version} failed its tests",
        lead=_FAILED.get(record.state, "It can't be promoted; production is as it was."),
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
            *(
                [_promote("Go back", "rollback", record, registry, version=False)]
                if record.state == "production"
                else []
            ),
            _test_again(record, registry),
        ],
    )


def tests_broken(
    record: Record, faults: Iterable[Fault], *, registry: str = "", cause: Cause = _AS_RECORDED
) -> Message:
    """Model tests went wrong by themselves, so nothing was decided about a version. For those who committed the tests
    as well."""
    state = f"Version {record.version} stays what it was: {_STATES.get(record.state, record.state)}."
    return _render(
        title=f"{record.model} {record.version}: model tests went wrong",
        lead=f"The tests are at fault, not the model. {state} Mend the tests, and test it again.",
        color=_AMBER,
        record=record,
        production=None,
        reasons=map(str, faults),
        measured=False,
        report="",
        cause=cause,
        commands=[_test_again(record, registry)],
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
    where = f"on {counted(pods, 'serving pod')}" if pods else "to servers once they start"
    # After a rollback the verb alone would go back one further.
    undo = ["rollback", "--to", str(previous.version)] if previous and rollback else ["rollback"]
    back = [Command("Go back", _shell("src/python/promote", undo, record, registry))] if previous else []
    return _render(
        title=f"{record.model} rolled back to {record.version}"
        if rollback
        else f"{record.model} {record.version} promoted",
        lead=f"Version {record.version} goes out{before} {where}, decided by {who}.",
        color=_BLUE,
        record=record,
        production=previous,
        verdict=tests[-1] if tests else None,
        picture=picture,
        reasons=[reason] if reason else [],
        report="",
        commands=[*back, _promote("See what is served", "status", record, registry, version=False)],
        replaced=True,
    )


def drifted(record: Record, reasons: Iterable[str], *, looked: list[str], registry: str = "") -> Message:
    """Recent images no longer resemble those that production's version `record` was tested on.

    `looked` are the flags that say where they were counted.
    """
    return _render(
        title=f"{record.model} {record.version}: drift",
        lead="Recent images no longer resemble the test data. Nothing was changed: look at them, and retrain with some "
        "of them once they are labelled.",
        color=_RED,
        record=record,
        production=None,
        reasons=reasons,
        report="",
        commands=[
            _promote("See what is served", "status", record, registry, version=False),
            Command("Look again", _shell("src/python/monitoring:drift", looked, record, registry)),
        ],
    )


def _render(
    *,
    title: str,
    lead: str,
    color: str,
    record: Record,
    production: Record | None,
    reasons: Iterable[str],
    report: str,
    commands: list[Command],
    verdict: Verdict | None = None,
    changed: Changed | None = None,
    picture: bytes | None = None,
    replaced: bool = False,
    cause: Cause = _AS_RECORDED,
    measured: bool = True,
) -> Message:
    """`replaced` tells that `production` was in production until now, and is no longer; without `measured` there are no
    figures."""
    found = figures(record, production, verdict) if measured else Figures(None, None, False)
    shown = Picture(picture) if picture else None
    values = {
        "title": one_line(title),
        "lead": one_line(lead),
        "color": color,
        "record": record,
        "metrics": found.metrics,
        "baseline": found.baseline,
        "change": change(found.metrics.accuracy, found.baseline.accuracy) if found.metrics and found.baseline else None,
        "production": production,
        "replaced": replaced,
        "same_images": found.same_images,
        "intervals": found.intervals,
        "notes": _notes(record, verdict) if found.metrics else [],
        "facts": _facts(record, cause.why),
        "test_commits": _readable(Changed(cause.commits)).commits,
        "classes": rows(found),
        "heat": heat(found.metrics),
        "cid": shown.cid if shown else None,
        "matrix_in_words": in_words(found.metrics),
        "changed": _readable(changed),
        "reasons": [one_line(reason, _LONGEST_REASON) for reason in reasons],
        "report": links.shown(report) if report else "",
        "report_address": links.address(report) if report else "",
        "commands": commands,
    }
    render = _templates().get_template
    pictures = (shown,) if shown and found.metrics else ()
    return Message(title, render("mail.txt").render(values), render("mail.html").render(values), pictures=pictures)


def _notes(record: Record, verdict: Verdict | None) -> list[str]:
    """What the reader of the figures has to know to judge them."""
    notes = []
    if record.judged > 1 and (test := record.metrics.test):
        notes.append(
            f"This is the {ordinal(record.judged)} model judged on these {counted(test.images, 'image')}: the more are "
            "tried, the likelier one does well on them by chance."
        )
    gate = [one for one in record.verdicts if one.kind == "gate"][-1:]
    chance = [sentence for one in (*gate, *([verdict] if verdict else [])) for sentence in one.allowed_for_chance()]
    notes += [f"Allowed for chance: {one_line(sentence, _LONGEST_REASON)}" for sentence in dict.fromkeys(chance)]
    if not record.checked:
        waits = record.state in ("candidate", "tested")
        taken = " `promote run` takes it with --unchecked." if waits else ""
        notes.append(f"The checks of its commit were left out (`--no-check`).{taken}")
    return notes


def _readable(changed: Changed | None) -> Changed:
    """Anybody who may commit writes subjects, and anybody who adds a folder names a class."""
    if changed is None:
        return Changed()
    commits = (Commit(one_line(c.hash), one_line(c.author), one_line(c.subject)) for c in changed.commits)
    return Changed(tuple(commits), changed.more, one_line(changed.images, _LONGEST_REASON))


def _facts(record: Record, why: str) -> list[tuple[str, str]]:
    seconds = sum(step.seconds for step in record.steps)
    facts = [("Why", why or record.reason), ("Kind", record.kind), ("Made", record.created)]
    if record.dataset:
        facts.append(("Dataset", f"{record.dataset.images} images, fingerprint {record.dataset.fingerprint[:12]}"))
    if record.code.commit:
        facts.append(("Commit", record.code.commit[:12] + (" with changes not committed" if record.code.dirty else "")))
    if seconds:
        facts.append(("Took", f"{seconds / 60:.1f} min"))
    return [(name, one_line(value)) for name, value in facts if value]


def _next(record: Record, registry: str) -> Command:
    """What there is to do with a version that passed."""
    if record.state == "production":
        return _promote("See what is served", "status", record, registry, version=False)
    if record.state == "retired":
        back = ["rollback", "--to", str(record.version)]
        return Command("Go back to it", _shell("src/python/promote", back, record, registry))
    return _promote("Promote it", "run" if record.checked else "run --unchecked", record, registry)


def _promote(what: str, verb: str, record: Record, registry: str, version: bool = True) -> Command:
    flags = ["--version", str(record.version)] if version else []
    return Command(what, _shell("src/python/promote", [*verb.split(), *flags], record, registry))


def _test_again(record: Record, registry: str) -> Command:
    arguments = ["--version", str(record.version), *_dataset(record)]
    return Command("Test it again", _shell("src/python/testing:test_model", arguments, record, registry))


def _dataset(record: Record) -> list[str]:
    """As other images may be of other classes."""
    return ["--dataset", record.dataset.uri] if record.dataset else []


def _shell(target: str, arguments: list[str], record: Record, registry: str) -> str:
    where = ["--model", record.model, *(["--registry", registry] if registry else [])]
    # A record is a file: its model and the place of its dataset may say anything.
    return shlex.join(
        ["./pants", "run", target, "--", *(one_line(one, _LONGEST_REASON) for one in (*arguments, *where))]
    )


@cache
def _templates() -> Environment:
    folder = resources.files("notify") / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda name: (folder / f"{name}.j2").read_text("utf-8")),
        # Class names come from folder names, reasons from tests: neither is to be trusted with markup.
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["counted"] = counted
    return environment
