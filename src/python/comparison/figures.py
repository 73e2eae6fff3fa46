"""A version's figures beside production's."""

from dataclasses import dataclass, field

from contracts.record import Metrics, Record, Verdict

# Ends of what holds the true figure in 95 of 100 cases, as shares of 1.
Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    accuracy: Interval
    # By class.
    recall: dict[str, Interval] = field(default_factory=dict)


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
    details = verdict.details if verdict and isinstance(verdict.details, dict) else {}
    if details.get("metrics"):
        metrics = Metrics.model_validate(details["metrics"])
        # Of another version than what is in production now: it was promoted meanwhile.
        same = production and details.get("baseline") and details.get("baseline_version") == production.version
        baseline = Metrics.model_validate(details["baseline"]) if same else None
    known = _intervals(record, metrics, details)
    if production is None:
        return Figures(metrics, None, False, known)
    return Figures(metrics, baseline or production.metrics.test, baseline is not None, known)


def change(now: float, before: float) -> float:
    """In percentage points of the figures as they are shown: a reader's own subtraction must come out the same."""
    return round(round(100 * now, 1) - round(100 * before, 1), 1)


def _intervals(record: Record, metrics: Metrics | None, details: dict[str, object]) -> Intervals | None:
    """The verdict's own; else those of the training, where the verdict found the same on as many images."""
    own = details.get("intervals")
    if isinstance(own, dict) and "accuracy" in own:
        return Intervals(tuple(own["accuracy"]), _by_class(own.get("recall")))
    judged, test = record.evaluation, record.metrics.test
    if metrics is None or test is None or judged.accuracy_interval is None:
        return None
    if (metrics.images, metrics.accuracy) != (test.images, test.accuracy):
        return None
    return Intervals(judged.accuracy_interval, judged.recall_intervals)


def _by_class(found: object) -> dict[str, Interval]:
    return {label: tuple(interval) for label, interval in found.items()} if isinstance(found, dict) else {}
