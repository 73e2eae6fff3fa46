"""Decides whether a trained model may become a candidate."""

from dataclasses import dataclass, field

from contracts.record import Metrics
from evaluation import allowed_for_chance, behind, compare
from training.run.answers import Answers


@dataclass(frozen=True)
class Thresholds:
    """Shares, 0 to 1. `tolerance` is how far a model may fall behind the one it would replace, besides by chance."""

    min_accuracy: float
    min_recall: float
    tolerance: float


@dataclass(frozen=True)
class Decision:
    """`reasons` say why a model misses the gate; none: it passes."""

    reasons: list[str] = field(default_factory=list)
    # Its parent passes the gate on the same images, and is better.
    parent_stays: bool = False
    # In what it seems worse than its parent by more than the tolerance, which may be chance.
    allowed_for_chance: list[str] = field(default_factory=list)


def decide(own: Answers, thresholds: Thresholds, parent: Answers | None = None) -> Decision:
    """Holds a model's answers to the test images against the thresholds, and against those of the model that it would
    replace."""
    reasons = shortfalls(own.metrics(), thresholds)
    if parent is None:
        return Decision(reasons)
    found = compare(own.likeliest, parent.likeliest, own.truth, thresholds.tolerance, own.labels, own.groups)
    worse = behind(found)
    before = parent.metrics()
    stays = any(one.label is None for one in worse) and not shortfalls(before, thresholds)
    if stays:
        reasons.insert(0, "its parent stays, which passes the gate on the same images and is better")
    reasons += [one.sentence("its parent's") for one in worse]
    return Decision(reasons, stays, [one.sentence("its parent's") for one in allowed_for_chance(found)])


def shortfalls(metrics: Metrics, thresholds: Thresholds) -> list[str]:
    """Where `metrics` are under the thresholds."""
    reasons = []
    if metrics.accuracy < thresholds.min_accuracy:
        reasons.append(f"accuracy {metrics.accuracy:.3f} is below {thresholds.min_accuracy:g}")
    for label, own in metrics.per_class.items():
        if own.recall < thresholds.min_recall:
            reasons.append(f"recall of '{label}' {own.recall:.3f} is below {thresholds.min_recall:g}")
    return reasons
