"""Decides whether a trained model may become a candidate."""

from dataclasses import dataclass

from contracts.record import Metrics


@dataclass(frozen=True)
class Thresholds:
    """Shares, 0 to 1. `tolerance` is how far a model may fall behind the one it would replace."""

    min_accuracy: float
    min_recall: float
    tolerance: float


def shortfalls(metrics: Metrics, thresholds: Thresholds, baseline: Metrics | None = None) -> list[str]:
    """Why a model with these metrics misses the gate; empty when it passes.

    `baseline` are the metrics of its parent, the model to be replaced, on the same images.
    """
    reasons = []
    if metrics.accuracy < thresholds.min_accuracy:
        reasons.append(f"accuracy {metrics.accuracy:.3f} is below {thresholds.min_accuracy:g}")
    for label, own in metrics.per_class.items():
        if own.recall < thresholds.min_recall:
            reasons.append(f"recall of '{label}' {own.recall:.3f} is below {thresholds.min_recall:g}")
    if baseline is None:
        return reasons
    if _behind(metrics.accuracy, baseline.accuracy, metrics.images, thresholds):
        reasons.append(f"accuracy {metrics.accuracy:.3f} falls behind its parent's {baseline.accuracy:.3f}")
    for label, own in metrics.per_class.items():
        other = baseline.per_class[label]
        if _behind(own.recall, other.recall, own.support, thresholds):
            reasons.append(f"recall of '{label}' {own.recall:.3f} falls behind its parent's {other.recall:.3f}")
    return reasons


def parent_is_better(metrics: Metrics, baseline: Metrics, thresholds: Thresholds) -> str | None:
    """Why the parent, with the metrics `baseline` on the same images, stays; None when it does not."""
    passes = not shortfalls(baseline, thresholds)
    # By more than one image, as below.
    if passes and baseline.accuracy - metrics.accuracy > 1.5 / baseline.images:
        return (
            f"its parent is kept: it passes the gate on the same images, and is better (accuracy "
            f"{baseline.accuracy:.3f}, not {metrics.accuracy:.3f})"
        )
    return None


def _behind(own: float, other: float, images: int, thresholds: Thresholds) -> bool:
    # One image is the smallest difference a test split can show, so one image alone never decides. The half keeps
    # rounding from turning one image into more than one.
    allowed = max(thresholds.tolerance, 1.5 / images if images else 0.0)
    return other - own > allowed
