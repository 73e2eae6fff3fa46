"""Whether one classifier is worse than another on the same images, or may seem so by chance.

A model is behind when it is right on fewer images by more than a tolerance *and* an exact McNemar test at 5 % says that
the difference is none of chance: of the images on which just one of the two is right, each falls to either side with
probability 1/2 where the models are equally good (McNemar, Psychometrika 12, 1947; two-sided, as statistics packages
compute it). Asking it of every class asks often, so the classes' p-values are corrected by Holm's method (Scandinavian
Journal of Statistics 6, 1979), which supposes nothing about how classes depend on each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

SIGNIFICANCE = 0.05
# A difference of exactly the tolerance is within it, whatever the rounding.
_ROUNDING = 1e-9

Outcome = Literal["level", "chance", "behind"]


@dataclass(frozen=True)
class Comparison:
    """Of the images of one class, or of all: on how many each model is right, and what that says."""

    # None: all images, whose share of right answers is the accuracy; a class's is its recall.
    label: str | None
    images: int
    own: int
    other: int
    # On how many images just the one, or just the other, is right.
    gained: int
    lost: int
    # Of McNemar's test; for classes corrected over all of them.
    p_value: float
    # "level": not worse by more than the tolerance. "chance": worse by more, which may be chance. "behind": worse.
    outcome: Outcome

    def sentence(self, whose: str = "production's") -> str:
        """What was found, with `whose` for the other model: "its parent's"."""
        what = "accuracy" if self.label is None else f"recall of '{self.label}'"
        figures = f"{what} {self.own / self.images:.3f} falls behind {whose} {self.other / self.images:.3f}"
        where = f"on the same {self.images} images"
        if self.outcome == "chance":
            return f"{figures} {where}, which may be chance ({self.lost} lost, {self.gained} gained, {self._p()})"
        return f"{figures} {where} ({self.lost} lost, {self.gained} gained, {self._p()})"

    def _p(self) -> str:
        return "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"


def paired(own_right: np.ndarray, other_right: np.ndarray) -> float:
    """The p-value of McNemar's exact test, two-sided, of which images [N] each of two models is right on, as booleans.

    1 where no image tells them apart. Images are taken as independent of each other.
    """
    from scipy.stats import binomtest

    own_right, other_right = np.asarray(own_right, bool), np.asarray(other_right, bool)
    gained, lost = int((own_right & ~other_right).sum()), int((other_right & ~own_right).sum())
    return float(binomtest(lost, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def compare(
    own: Sequence[object] | np.ndarray,
    other: Sequence[object] | np.ndarray,
    truth: Sequence[object] | np.ndarray,
    tolerance: float,
    labels: Sequence[str],
) -> list[Comparison]:
    """Compares a model's answers `own` with another's, both to the same images: first on all, then on each class.

    Answers and truth have shape [N] and hold names out of `labels`, or places in it. A class without images is left
    out.
    """
    own, other, truth = np.asarray(own), np.asarray(other), np.asarray(truth)
    if not len(truth):
        return []
    by_name = truth.dtype.kind in "OUS"
    groups = [(label, truth == (label if by_name else place)) for place, label in enumerate(labels)]
    groups = [(label, is_one) for label, is_one in groups if is_one.any()]
    own_right, other_right = own == truth, other == truth
    corrected = _holm([paired(own_right[is_one], other_right[is_one]) for _, is_one in groups])
    found = [_comparison(None, own_right, other_right, paired(own_right, other_right), tolerance)]
    for (label, is_one), p_value in zip(groups, corrected, strict=True):
        found.append(_comparison(label, own_right[is_one], other_right[is_one], p_value, tolerance))
    return found


def behind(found: Sequence[Comparison]) -> list[Comparison]:
    """Those in which the model is worse, by more than tolerance and chance explain."""
    return [one for one in found if one.outcome == "behind"]


def allowed_for_chance(found: Sequence[Comparison]) -> list[Comparison]:
    """Those in which the model seems worse by more than the tolerance, and may be so by chance alone."""
    return [one for one in found if one.outcome == "chance"]


def _comparison(
    label: str | None, own_right: np.ndarray, other_right: np.ndarray, p_value: float, tolerance: float
) -> Comparison:
    gained, lost = int((own_right & ~other_right).sum()), int((other_right & ~own_right).sum())
    outcome: Outcome = "level"
    if lost - gained > tolerance * len(own_right) + _ROUNDING:
        outcome = "behind" if p_value < SIGNIFICANCE else "chance"
    own, other = int(own_right.sum()), int(other_right.sum())
    return Comparison(label, len(own_right), own, other, gained, lost, p_value, outcome)


def _holm(p_values: Sequence[float]) -> list[float]:
    """Corrected by Holm: the smallest times the number of tests, the next times one fewer, and never falling."""
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected
