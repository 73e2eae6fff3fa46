"""Whether one classifier is worse than another on the same images, or may seem so by chance.

A model is behind when it is right on fewer images by more than a tolerance *and* an exact McNemar test at 5 % says that
the difference is none of chance: of the images on which just one of the two is right, each falls to either side with
probability 1/2 where the models are equally good (McNemar, Psychometrika 12, 1947; two-sided, as statistics packages
compute it). Images of one patient are not independent: where groups are known, a whole group changes sides at once, and
what is summed up are the groups' differences. That is the sum on which the tests for clustered pairs rest (Obuchowski,
Statistics in Medicine 17, 1998; Yang, Biometrical Journal 52, 2010), with its exact distribution in the place of their
chi-square, which needs many groups. Groups of one image each are McNemar's test again.

Asking it of every class asks often, so the classes' p-values are corrected by Holm's method (Scandinavian Journal of
Statistics 6, 1979), which supposes nothing about how classes depend on each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cli.text import counted

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
    # Into how many groups the images fall, such as patients; None where each image stands for itself.
    groups: int | None
    # "level": not worse by more than the tolerance. "chance": worse by more, which may be chance. "behind": worse.
    outcome: Outcome

    def sentence(self, whose: str = "production's") -> str:
        """What was found, with `whose` for the other model: "its parent's"."""
        what = "accuracy" if self.label is None else f"recall of '{self.label}'"
        figures = f"{what} {self.own / self.images:.3f} falls behind {whose} {self.other / self.images:.3f}"
        of_groups = f" of {counted(self.groups, 'group')}" if self.groups is not None else ""
        where = f"on the same {counted(self.images, 'image')}{of_groups}"
        if self.outcome == "chance":
            return f"{figures} {where}, which may be chance ({self.lost} lost, {self.gained} gained, {self._p()})"
        return f"{figures} {where} ({self.lost} lost, {self.gained} gained, {self._p()})"

    def _p(self) -> str:
        return "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"


def paired(own_right: np.ndarray, other_right: np.ndarray, groups: np.ndarray | None = None) -> float:
    """The p-value of McNemar's exact test, two-sided, of which images [N] each of two models is right on, as booleans.

    1 where no image tells them apart. `groups` [N] say which images belong together, such as one patient's; without
    them, images are taken as independent of each other.
    """
    difference = np.asarray(other_right, int) - np.asarray(own_right, int)
    if groups is not None:
        return _by_sign(np.bincount(np.unique(groups, return_inverse=True)[1], difference).round().astype(int))
    from scipy.stats import binomtest

    lost, gained = int((difference > 0).sum()), int((difference < 0).sum())
    return float(binomtest(lost, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def _by_sign(differences: np.ndarray) -> float:
    """How likely a sum as far from 0 as that of `differences`, int [K], is when each has either sign with probability
    1/2: two-sided, and exact, since all sums are counted."""
    sizes = np.abs(differences[differences != 0])
    middle = int(sizes.sum())
    chance = np.zeros(2 * middle + 1)  # of each sum, from -middle to middle
    chance[middle] = 1.0
    for size in sizes:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2  # no sum so far goes beyond its ends
    far = np.abs(np.arange(-middle, middle + 1)) >= abs(int(differences.sum()))
    return min(1.0, float(chance[far].sum()))


def compare(
    own: Sequence[object] | np.ndarray,
    other: Sequence[object] | np.ndarray,
    truth: Sequence[object] | np.ndarray,
    tolerance: float,
    labels: Sequence[str],
    groups: Sequence[int] | np.ndarray | None = None,
) -> list[Comparison]:
    """Compares a model's answers `own` with another's, both to the same images: first on all, then on each class.

    Answers and truth have shape [N] and hold names out of `labels`, or places in it; `groups` [N] say which images
    belong together, such as one patient's. A class without images is left out.
    """
    own, other, truth = np.asarray(own), np.asarray(other), np.asarray(truth)
    if not len(truth):
        return []
    by_name = truth.dtype.kind in "OUS"
    of_class = [(label, truth == (label if by_name else place)) for place, label in enumerate(labels)]
    parts: list[tuple[str | None, np.ndarray]] = [(None, np.ones(len(truth), bool))]
    parts += [(label, part) for label, part in of_class if part.any()]
    members = None if groups is None else np.asarray(groups)
    own_right, other_right = own == truth, other == truth
    p_values = [
        paired(own_right[part], other_right[part], None if members is None else members[part]) for _, part in parts
    ]
    corrected = [p_values[0], *_holm(p_values[1:])]
    return [
        _comparison(
            label,
            own_right[part],
            other_right[part],
            p_value,
            tolerance,
            None if members is None else len(np.unique(members[part])),
        )
        for (label, part), p_value in zip(parts, corrected, strict=True)
    ]


def behind(found: Sequence[Comparison]) -> list[Comparison]:
    """Those in which the model is worse, by more than tolerance and chance explain."""
    return [one for one in found if one.outcome == "behind"]


def allowed_for_chance(found: Sequence[Comparison]) -> list[Comparison]:
    """Those in which the model seems worse by more than the tolerance, and may be so by chance alone."""
    return [one for one in found if one.outcome == "chance"]


def _comparison(
    label: str | None,
    own_right: np.ndarray,
    other_right: np.ndarray,
    p_value: float,
    tolerance: float,
    groups: int | None,
) -> Comparison:
    gained, lost = int((own_right & ~other_right).sum()), int((other_right & ~own_right).sum())
    outcome: Outcome = "level"
    if lost - gained > tolerance * len(own_right) + _ROUNDING:
        outcome = "behind" if p_value < SIGNIFICANCE else "chance"
    own, other = int(own_right.sum()), int(other_right.sum())
    return Comparison(label, len(own_right), own, other, gained, lost, p_value, groups, outcome)


def _holm(p_values: Sequence[float]) -> list[float]:
    """Corrected by Holm: the smallest times the number of tests, the next times one fewer, and never falling."""
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected
