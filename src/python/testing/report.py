"""The verdict as a page."""

from collections.abc import Callable, Mapping

import pages
from contracts.record import Metrics, Record
from contracts.verdict import Interval, Loads, ModelVerdict
from pages.plots import Theme, both
from testing import plots

_FIGURES = ("recall", "precision", "f1")
_BUDGET = {
    "min_accuracy": "minimum accuracy",
    "min_recall": "minimum recall of every class",
    "tolerance": "tolerance behind production",
    "max_flips": "maximum share of answers that a harmless change alters",
    "max_confidence": "maximum confidence in out-of-distribution pictures",
    "max_p95_ms": "maximum 95th percentile of the response time, ms",
    "max_slowdown": "maximum slowdown against production, times",
    "max_growth_mib": "maximum growth of memory, MiB",
}


def render(verdict: ModelVerdict, record: Record) -> bytes:
    """A self-contained HTML page about how a version's tests ended: pictures inside, no script, nothing from outside.

    What the verdict does not hold, because it was not measured, is left out.
    """
    return pages.render("testing", "templates/report.html", _view(verdict, record))


def _view(verdict: ModelVerdict, record: Record) -> dict[str, object]:
    metrics, baseline = verdict.metrics, verdict.baseline
    production = f"version {verdict.baseline_version}" if baseline else ""
    outcomes = [test.outcome for test in verdict.tests]
    kinds = ("passed", "failed", "broken", "skipped")
    return {
        "record": record,
        "passed": verdict.passed,
        "reasons": verdict.reasons,
        "broken": list(map(str, verdict.broken)),
        "chance": verdict.allowed_for_chance,
        "counts": [(outcomes.count(kind), kind) for kind in kinds if kind in outcomes],
        "metrics": metrics,
        "interval": verdict.intervals.accuracy if verdict.intervals else None,
        "baseline": baseline,
        "change": _change(metrics.accuracy, baseline.accuracy) if metrics and baseline else None,
        "production": production,
        "classes": [_class(label, verdict) for label in metrics.per_class] if metrics else [],
        "plots": _plots(verdict, record, (f"version {record.version}", production)),
        "latency": _latency(verdict.latency, record.version, production),
        "memory": verdict.memory,
        "mistakes": verdict.mistakes,
        "wrong": metrics.images - sum(row[i] for i, row in enumerate(metrics.confusion)) if metrics else 0,
        "changed": verdict.changed,
        "dataset": verdict.dataset,
        "budget": [
            (_BUDGET.get(key, key.replace("_", " ")), limit, verdict.budget_from.get(key, ""))
            for key, limit in (verdict.budget or {}).items()
        ],
        "tests": [test.model_dump() | _named(test.name) for test in verdict.tests],
        "made_by": verdict,
    }


def _class(label: str, verdict: ModelVerdict) -> dict[str, object]:
    """A class's row: each figure with its interval, beside production's; None where production does not know it."""
    assert verdict.metrics
    now = verdict.metrics.per_class[label]
    before = verdict.baseline.per_class.get(label) if verdict.baseline else None
    cells = [
        {
            "name": name,
            "now": getattr(now, name),
            "interval": _interval(verdict, name, label),
            "before": getattr(before, name) if before else None,
            "change": _change(getattr(now, name), getattr(before, name)) if before else None,
        }
        for name in _FIGURES
    ]
    return {"label": label, "support": now.support, "cells": cells}


def _interval(verdict: ModelVerdict, name: str, label: str) -> Interval | None:
    known: Mapping[str, Interval] = getattr(verdict.intervals, name) if verdict.intervals else {}
    return known.get(label)


def _plots(verdict: ModelVerdict, record: Record, names: tuple[str, str]) -> dict[str, dict[str, str]]:
    """Each plot for a light and a dark page, as addresses that hold the picture itself."""
    draw: dict[str, Callable[[Theme], bytes]] = {}
    if verdict.metrics:
        draw |= _of_metrics(verdict.metrics, verdict.baseline, record.labels, names)
    latency = verdict.latency or Loads()
    own, other = (load.samples_ms if load else [] for load in (latency.candidate, latency.production))
    if own:
        draw["latency"] = lambda theme: plots.latency(own, other, names, theme)
    return {name: both(paint) for name, paint in draw.items()}


def _of_metrics(
    metrics: Metrics, baseline: Metrics | None, labels: list[str], names: tuple[str, str]
) -> dict[str, Callable[[Theme], bytes]]:
    draw: dict[str, Callable[[Theme], bytes]] = {}
    if metrics.per_class:
        before = _recalls(baseline) if baseline else None
        draw["recall"] = lambda theme: plots.recall(_recalls(metrics), before, names, theme)
    if metrics.confusion:
        draw["confusion"] = lambda theme: plots.confusion(metrics.confusion, labels, theme)
    return draw


def _recalls(metrics: Metrics) -> dict[str, float]:
    return {label: figures.recall for label, figures in metrics.per_class.items()}


def _latency(latency: Loads | None, version: int, production: str) -> list[dict[str, object]]:
    if not latency:
        return []
    sides = ((f"version {version}", latency.candidate), (production or "production", latency.production))
    return [{"name": name, **load.model_dump()} for name, load in sides if load]


def _named(test: str) -> dict[str, str]:
    """A test's property in words, and where it stands."""
    _, _, function = test.rpartition("::")
    return {"words": function.removeprefix("test_").replace("_", " "), "place": test}


def _change(now: float, before: float) -> dict[str, str]:
    """In percentage points, of the figures as they are shown: a reader's own subtraction must come out the same."""
    points = round(100 * now, 1) - round(100 * before, 1)
    if abs(points) < 0.05:
        return {"points": "±0.0", "direction": "same"}
    return {"points": f"{points:+.1f}".replace("-", "−"), "direction": "better" if points > 0 else "worse"}
