"""A version's figures beside production's, as a mail shows them."""

from dataclasses import dataclass
from typing import Any

from contracts.record import Metrics, Record, Verdict
from notify.message import one_line

_HEAT = (26, 95, 180)


@dataclass(frozen=True)
class Figures:
    """What was measured, and the same of production where there is one."""

    metrics: Metrics | None
    baseline: Metrics | None
    # Whether both were measured on the same images.
    same_images: bool


def figures(record: Record, production: Record | None, verdict: Verdict | None = None) -> Figures:
    """Those of the verdict where it holds them: report and picture show the same then. Else those of the record."""
    metrics, baseline = record.metrics.test, record.metrics.baseline
    if production and record.parent != production.version:
        baseline = None  # at the training another version was in production
    details = verdict.details if verdict and isinstance(verdict.details, dict) else {}
    if details.get("metrics"):
        metrics = Metrics.model_validate(details["metrics"])
        # Of another version than what is in production now: it was promoted meanwhile.
        same = production and details.get("baseline") and details.get("baseline_version") == production.version
        baseline = Metrics.model_validate(details["baseline"]) if same else None
    if production is None:
        return Figures(metrics, None, False)
    return Figures(metrics, baseline or production.metrics.test, baseline is not None)


def rows(found: Figures) -> list[dict[str, Any]]:
    """One a class: its figures, each with production's and the change in points where production knows the class."""
    if found.metrics is None:
        return []
    table = []
    for label, now in found.metrics.per_class.items():
        before = found.baseline.per_class.get(label) if found.baseline else None
        row: dict[str, Any] = {"label": one_line(label), "images": now.support, "known": before is not None}
        for name in ("recall", "precision", "f1"):
            value = getattr(now, name)
            other = getattr(before, name) if before else None
            row[name] = value
            row[f"{name}_before"] = other
            row[f"{name}_change"] = None if other is None else change(value, other)
        table.append(row)
    return table


def change(now: float, before: float) -> float:
    """In percentage points of the figures as they are shown: a reader's own subtraction must come out the same."""
    return round(round(100 * now, 1) - round(100 * before, 1), 1)


def heat(metrics: Metrics | None) -> list[dict[str, Any]]:
    """The confusion matrix as rows of cells, coloured by their share of the row (the true class)."""
    if metrics is None:
        return []
    table = []
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
        table.append({"label": one_line(label), "cells": cells})
    return table


def in_words(metrics: Metrics | None) -> str:
    """The confusion matrix for whoever does not see its picture."""
    if metrics is None:
        return ""
    hits = (
        f"{one_line(label)} {counts[i]} of {sum(counts)} right"
        for i, (label, counts) in enumerate(zip(metrics.per_class, metrics.confusion, strict=False))
    )
    return f"Confusion matrix: {', '.join(hits)}"
