"""Figures as the tables of a mail: one row a class, and the confusion matrix."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cli.text import one_line
from comparison.figures import Figures, change
from contracts.record import ClassMetrics, Interval, Metrics

_HEAT = (26, 95, 180)
# Letters that stand beside three figures on a phone; between them a line may break.
_ON_A_PHONE = 14
_BREAKS = re.compile(r"[\s-]+")


@dataclass(frozen=True)
class Share:
    """A figure of one class as a share of 1; production's, and the change in points, where that knows the class."""

    now: float
    before: float | None = None
    change: float | None = None
    # What holds the true figure in 95 of 100 cases, where that was measured.
    interval: Interval | None = None


@dataclass(frozen=True)
class Row:
    """One class."""

    label: str
    images: int
    # Whether production knows the class.
    known: bool
    recall: Share
    precision: Share
    f1: Share


@dataclass(frozen=True)
class Cell:
    count: int
    background: str
    ink: str


def rows(found: Figures) -> list[Row]:
    """One a class, in the model's order."""
    if found.metrics is None:
        return []
    table = []
    for label, now in found.metrics.per_class.items():
        before = found.baseline.per_class.get(label) if found.baseline else None
        recall = found.intervals.recall.get(label) if found.intervals else None
        shares = [_share(now, before, name) for name in ("recall", "precision", "f1")]
        shares[0] = replace(shares[0], interval=recall)
        table.append(Row(one_line(label), now.support, before is not None, *shares))
    return table


def is_wide(table: Sequence[Row]) -> bool:
    """Whether a class has a name of which a word would break beside its figures on a phone."""
    return any(len(word) > _ON_A_PHONE for row in table for word in _BREAKS.split(row.label))


def _share(now: ClassMetrics, before: ClassMetrics | None, name: str) -> Share:
    value = getattr(now, name)
    if before is None:
        return Share(value)
    return Share(value, getattr(before, name), change(value, getattr(before, name)))


def heat(metrics: Metrics | None) -> list[tuple[str, list[Cell]]]:
    """The confusion matrix as classes with their cells, coloured by their share of the row (the true class)."""
    if metrics is None:
        return []
    table = []
    for label, counts in zip(metrics.per_class, metrics.confusion, strict=False):
        cells = []
        for count in counts:
            share = count / sum(counts) if sum(counts) else 0.0
            red, green, blue = (round(255 + (end - 255) * share) for end in _HEAT)
            cells.append(Cell(count, f"#{red:02x}{green:02x}{blue:02x}", _ink(red, green, blue)))
        table.append((one_line(label), cells))
    return table


def _ink(red: int, green: int, blue: int) -> str:
    """Black or white, whichever is read better on the colour: 4.5 times its luminance at least, as WCAG asks."""
    linear = [((part / 255 + 0.055) / 1.055) ** 2.4 if part > 10 else part / 255 / 12.92 for part in (red, green, blue)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"


def in_words(metrics: Metrics | None) -> str:
    """The confusion matrix for whoever does not see its picture."""
    if metrics is None:
        return ""
    hits = (
        f"{one_line(label)} {counts[i]} of {sum(counts)} right"
        for i, (label, counts) in enumerate(zip(metrics.per_class, metrics.confusion, strict=False))
    )
    return f"Confusion matrix: {', '.join(hits)}"
