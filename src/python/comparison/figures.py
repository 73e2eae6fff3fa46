"""A version's figures beside production's."""

from dataclasses import dataclass

from pydantic import BaseModel

from contracts.classes import named_as
from contracts.record import Metrics, Record, Verdict
from contracts.verdict import Intervals


class _Measured(BaseModel):
    """What the details of a test's verdict hold of figures; more stands there, and less in an earlier version's."""

    metrics: Metrics | None = None
    baseline: Metrics | None = None
    baseline_version: int | None = None
    intervals: Intervals | None = None


@dataclass(frozen=True)
class Figures:
    """What was measured, and the same of production where there is one."""

    metrics: Metrics | None
    baseline: Metrics | None
    # Whether both were measured on the same images.
    same_images: bool
    # How sure `metrics` are; None where nobody measured that on these images.
    intervals: Intervals | None = None


def figures(record: Record, production: Record | None, verdict: Verdict | None = None) -> Figures:
    """Those of the verdict where it holds them: report and picture show the same then. Else those of the record."""
    metrics, baseline = record.metrics.test, record.metrics.baseline
    if production and record.parent != production.version:
        baseline = None  # at the training another version was in production
    tested = verdict is not None and verdict.kind == "test" and isinstance(verdict.details, dict)
    found = _Measured.model_validate(verdict.details if tested and verdict else {})
    if found.metrics:
        metrics = found.metrics
        # Of another version than what is in production now: it was promoted meanwhile.
        same = production and found.baseline and found.baseline_version == production.version
        baseline = found.baseline if same else None
    known = found.intervals or _intervals(record, metrics)
    if production is None:
        return Figures(metrics, None, False, known)
    before = baseline or production.metrics.test
    if before:
        before = before.model_copy(update={"per_class": named_as(before.per_class, record.labels)})
    return Figures(metrics, before, baseline is not None, known)


def change(now: float, before: float) -> float:
    """In percentage points of the figures as they are shown: a reader's own subtraction must come out the same."""
    return round(round(100 * now, 1) - round(100 * before, 1), 1)


def _intervals(record: Record, metrics: Metrics | None) -> Intervals | None:
    """Those of the training, where `metrics` say the same of as many images."""
    judged, test = record.evaluation, record.metrics.test
    if metrics is None or test is None or judged.accuracy_interval is None:
        return None
    if (metrics.images, metrics.accuracy) != (test.images, test.accuracy):
        return None
    return Intervals(accuracy=judged.accuracy_interval, recall=judged.recall_intervals)
