"""A mail from what it is about: the record and its figures, beside production's, as text and as HTML."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined

from cli.text import counted, one_line, ordinal
from comparison.changed import Changed, Commit
from comparison.figures import Figures, change, figures
from contracts.grouping import described
from contracts.record import Record, Verdict
from notify import links
from notify.commands import Command
from notify.message import Message, Picture
from notify.tables import heat, in_words, is_wide, rows

# A failed test may say much; a mail is no log.
_LONGEST_REASON = 1000


@dataclass(frozen=True)
class Cause:
    """Why the run happened that a mail is about, and the commits of the model tests that it is about."""

    # Empty: as the record says, of the run that made the version.
    why: str = ""
    commits: tuple[Commit, ...] = ()


AS_RECORDED = Cause()


def render(
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
    cause: Cause = AS_RECORDED,
    measured: bool = True,
) -> Message:
    """`replaced` tells that `production` was in production until now, and is no longer; without `measured` there are no
    figures."""
    found = figures(record, production, verdict) if measured else Figures(None, None, False)
    shown = Picture(picture) if picture else None
    classes = rows(found)
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
        "classes": classes,
        "wide": is_wide(classes),
        "heat": heat(found.metrics),
        "cid": shown.cid if shown else None,
        "matrix_in_words": in_words(found.metrics),
        "changed": _readable(changed),
        "reasons": [one_line(reason, _LONGEST_REASON) for reason in reasons],
        "report": links.shown(report) if report else "",
        "report_address": links.address(report) if report else "",
        "commands": commands,
    }
    template = _templates().get_template
    pictures = (shown,) if shown and found.metrics else ()
    return Message(title, template("mail.txt").render(values), template("mail.html").render(values), pictures=pictures)


def _notes(record: Record, verdict: Verdict | None) -> list[str]:
    """What the reader of the figures has to know to judge them."""
    notes = []
    if record.judged > 1 and (test := record.metrics.test):
        notes.append(
            f"This is the {ordinal(record.judged)} model judged on these {counted(test.images, 'image')}: the more are "
            "tried, the likelier one scores well by chance."
        )
    gate = [one for one in record.verdicts if one.kind == "gate"][-1:]
    chance = [sentence for one in (*gate, *([verdict] if verdict else [])) for sentence in one.allowed_for_chance()]
    notes += [f"Allowed for chance: {one_line(sentence, _LONGEST_REASON)}" for sentence in dict.fromkeys(chance)]
    if not record.checked:
        waits = record.state in ("candidate", "tested")
        taken = " `promote run` takes it with --unchecked." if waits else ""
        notes.append(f"The checks of its commit were skipped (`--no-check`).{taken}")
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
        groups = f", groups {described(record.dataset.groups)}" if record.dataset.groups else ""
        fingerprint = record.dataset.fingerprint[:12]
        facts.append(("Dataset", f"{record.dataset.images} images{groups}, fingerprint {fingerprint}"))
    if record.code.commit:
        facts.append(("Commit", record.code.commit[:12] + (" with uncommitted changes" if record.code.dirty else "")))
    if seconds:
        facts.append(("Took", f"{seconds / 60:.1f} min"))
    return [(name, one_line(value)) for name, value in facts if value]


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
