"""The verdict as a page."""

from collections.abc import Callable, Mapping
from typing import Any

import pages
from pages.plots import Theme, both

from contracts.record import Record
from testing import plots

_FIGURES = ("recall", "precision", "f1")
_BUDGET = {
    "min_accuracy": "least accuracy",
    "min_recall": "least recall of every class",
    "tolerance": "tolerance behind production",
    "max_flips": "most answers that a harmless change may turn",
    "max_confidence": "most confidence in pictures that are no X-rays",
    "max_p95_ms": "most milliseconds that 95 % of answers may take",
    "max_slowdown": "most times slower than production",
    "max_growth_mib": "most MiB that memory may grow by",
}


def render(verdict: Mapping[str, Any], record: Record) -> bytes:
    """A self-contained HTML page about how a version's tests ended: pictures inside, no script, nothing from outside.

    What the verdict does not hold, because it was not measured, is left out.
    """
    return pages.render("testing", "templates/report.html", _view(verdict, record))


def _view(verdict: Mapping[str, Any], record: Record) -> dict[str, Any]:
    metrics, baseline, tests = verdict["metrics"], verdict.get("baseline"), verdict["tests"]
    production = f"version {verdict['baseline_version']}" if baseline else ""
    outcomes = [test["outcome"] for test in tests]
    return {
        "record": record,
        "passed": verdict["passed"],
        "reasons": verdict["reasons"],
        "counts": [(outcomes.count(kind), kind) for kind in ("passed", "failed", "skipped") if kind in outcomes],
        "metrics": metrics,
        "baseline": baseline,
        "change": _change(metrics["accuracy"], baseline["accuracy"]) if baseline else None,
        "production": production,
        "classes": [_class(label, metrics, baseline) for label in metrics["per_class"]] if metrics else [],
        "plots": _plots(verdict, record, (f"version {record.version}", production)),
        "latency": _latency(verdict.get("latency"), record.version, production),
        "memory": verdict.get("memory") or {},
        "mistakes": verdict.get("mistakes"),
        "wrong": metrics["images"] - sum(row[i] for i, row in enumerate(metrics["confusion"])) if metrics else 0,
        "changed": verdict.get("changed"),
        "dataset": verdict.get("dataset"),
        "budget": [(_BUDGET.get(key, key.replace("_", " ")), n) for key, n in (verdict.get("budget") or {}).items()],
        "tests": [test | _named(test["name"]) for test in tests],
        "made_by": {key: verdict.get(key) for key in ("model_server", "executor", "attempts", "first_try", "seconds")},
    }


def _class(label: str, metrics: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> dict[str, Any]:
    """A class's row: each figure beside production's; None where production does not know the class."""
    now, before = metrics["per_class"][label], (baseline or {"per_class": {}})["per_class"].get(label)
    cells = [
        {
            "name": name,
            "now": now[name],
            "before": before[name] if before else None,
            "change": _change(now[name], before[name]) if before else None,
        }
        for name in _FIGURES
    ]
    return {"label": label, "support": now["support"], "cells": cells}


def _plots(verdict: Mapping[str, Any], record: Record, names: tuple[str, str]) -> dict[str, dict[str, str]]:
    """Each plot for a light and a dark page, as addresses that hold the picture itself."""
    metrics, baseline, latency = verdict["metrics"], verdict.get("baseline"), verdict.get("latency") or {}
    draw: dict[str, Callable[[Theme], bytes]] = {}
    if metrics and (per_class := metrics["per_class"]):
        before = baseline["per_class"] if baseline else None
        draw["recall"] = lambda theme: plots.recall(per_class, before, names, theme)
    if metrics and (matrix := metrics["confusion"]):
        draw["confusion"] = lambda theme: plots.confusion(matrix, record.labels, theme)
    own, other = ((latency.get(side) or {}).get("samples_ms") or [] for side in ("candidate", "production"))
    if own:
        draw["latency"] = lambda theme: plots.latency(own, other, names, theme)
    return {name: both(paint) for name, paint in draw.items()}


def _latency(latency: Mapping[str, Any] | None, version: int, production: str) -> list[dict[str, Any]]:
    if not latency:
        return []
    sides = ((f"version {version}", latency.get("candidate")), (production or "production", latency.get("production")))
    return [{"name": name, **figures} for name, figures in sides if figures]


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
