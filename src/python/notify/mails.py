"""The four mails an owner gets: a candidate passed, the gate was missed, tests failed, a version was promoted."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from notify.message import Message
from registry import Metrics, Record, Verdict

_GREEN, _RED, _BLUE = "#1b7f4d", "#b3261e", "#1a5fb4"
_HEAT = (26, 95, 180)


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
) -> Message:
    """A candidate passed its tests and waits for a promotion; `production` is the version in use now."""
    verdict = Verdict.model_validate(verdict)
    return _render(
        title=f"{record.model} {record.version} passed its tests",
        lead="It waits for you: nothing changes for users until you promote it.",
        color=_GREEN,
        record=record,
        production=production,
        reasons=verdict.reasons,
        report=report,
        commands=[_promote("Promote it", "run", record, registry)],
    )


def gate_missed(record: Record, production: Record | None = None, *, registry: str = "", report: str = "") -> Message:
    """A model fell short of the training gate; the reasons are those of the record's last gate verdict."""
    return _render(
        title=f"{record.model} {record.version} fell short of the gate",
        lead="It was not saved; production is as it was.",
        color=_RED,
        record=record,
        production=production,
        reasons=next((verdict.reasons for verdict in reversed(record.verdicts) if verdict.kind == "gate"), []),
        report=report,
        commands=[_promote("See what is served", "status", record, registry, version=False)],
    )


def tests_failed(
    record: Record,
    verdict: Verdict | Mapping[str, Any],
    production: Record | None = None,
    *,
    registry: str = "",
    report: str = "",
) -> Message:
    """A model's tests failed; `production` is the version in use now."""
    verdict = Verdict.model_validate(verdict)
    return _render(
        title=f"{record.model} {record.version} failed its tests",
        lead="It can't be promoted; production is as it was.",
        color=_RED,
        record=record,
        production=production,
        reasons=verdict.reasons,
        report=report,
        commands=[
            Command(
                "Test it again",
                _shell("src/python/testing:test_model", ["--version", str(record.version)], registry),
            )
        ],
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
) -> Message:
    """`record` is served now instead of `previous`, on so many `pods`."""
    before = f" instead of version {previous.version}" if previous else ""
    where = f"on {pods} serving pod{'s' if pods != 1 else ''}" if pods else "to servers once they start"
    back = [_promote("Go back", "rollback", record, registry, version=False)] if previous else []
    return _render(
        title=f"{record.model} rolled back to {record.version}"
        if rollback
        else f"{record.model} {record.version} promoted",
        lead=f"Version {record.version} goes out{before} {where}, decided by {who}.",
        color=_BLUE,
        record=record,
        production=previous,
        reasons=[reason] if reason else [],
        report="",
        commands=[*back, _promote("See what is served", "status", record, registry, version=False)],
    )


def _render(
    *,
    title: str,
    lead: str,
    color: str,
    record: Record,
    production: Record | None,
    reasons: list[str],
    report: str,
    commands: list[Command],
) -> Message:
    metrics = record.metrics.test
    # On the same images when they were measured so; else what production's own record says.
    baseline = (record.metrics.baseline or production.metrics.test) if production else None
    values = {
        "title": title,
        "lead": lead,
        "color": color,
        "record": record,
        "metrics": metrics,
        "baseline": baseline,
        "production": production,
        "same_images": record.metrics.baseline is not None,
        "facts": _facts(record),
        "classes": _classes(metrics, baseline) if metrics else [],
        "heat": _heat(metrics) if metrics else [],
        "reasons": reasons,
        "report": report,
        "commands": commands,
    }
    render = _templates().get_template
    return Message(title, render("mail.txt").render(values), render("mail.html").render(values))


def _facts(record: Record) -> list[tuple[str, str]]:
    seconds = sum(step.seconds for step in record.steps)
    facts = [("Why", record.reason), ("Kind", record.kind), ("Made", record.created)]
    if record.dataset:
        facts.append(("Dataset", f"{record.dataset.images} images, fingerprint {record.dataset.fingerprint[:12]}"))
    if record.code.commit:
        facts.append(("Commit", record.code.commit[:12] + (" with changes not committed" if record.code.dirty else "")))
    if seconds:
        facts.append(("Took", f"{seconds / 60:.1f} min"))
    return [(name, value) for name, value in facts if value]


def _classes(metrics: Metrics, baseline: Metrics | None) -> list[dict[str, Any]]:
    rows = []
    for label, found in metrics.per_class.items():
        before = baseline.per_class.get(label) if baseline else None
        rows.append(
            {
                "label": label,
                "recall": found.recall,
                "before": before.recall if before else None,
                "change": found.recall - before.recall if before else None,
                "precision": found.precision,
                "images": found.support,
            }
        )
    return rows


def _heat(metrics: Metrics) -> list[dict[str, Any]]:
    """The confusion matrix as rows of cells, coloured by their share of the row (the true class)."""
    rows = []
    for label, counts in zip(metrics.per_class, metrics.confusion, strict=False):
        cells = []
        for count in counts:
            share = count / sum(counts) if sum(counts) else 0.0
            red, green, blue = (round(255 + (end - 255) * share) for end in _HEAT)
            cells.append(
                {
                    "count": count,
                    "background": f"#{red:02x}{green:02x}{blue:02x}",
                    "ink": "#ffffff" if share > 0.75 else "#202124",
                }
            )
        rows.append({"label": label, "cells": cells})
    return rows


def _promote(what: str, verb: str, record: Record, registry: str, version: bool = True) -> Command:
    flags = ["--version", str(record.version)] if version else []
    return Command(what, _shell("src/python/promote", [verb, *flags], registry))


def _shell(target: str, arguments: list[str], registry: str) -> str:
    where = ["--registry", registry] if registry else []
    return shlex.join(["./pants", "run", target, "--", *arguments, *where])


@cache
def _templates() -> Environment:
    folder = resources.files("notify") / "templates"
    return Environment(
        loader=FunctionLoader(lambda name: (folder / f"{name}.j2").read_text("utf-8")),
        # Class names come from folder names, reasons from tests: neither is to be trusted with markup.
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
