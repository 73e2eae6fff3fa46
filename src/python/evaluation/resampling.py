"""How sure a share is: by drawing again what was drawn, images or whole groups of them such as one patient's."""

from collections.abc import Sequence

import numpy as np

_RESAMPLES = 1000
_DEVIATIONS_OF_95_PERCENT = 1.96

Interval = tuple[float, float]


class Drawn:
    """`groups` are the group of each image, [N]; without them each image stands for itself.

    Images of one patient are no several patients: were they taken for such, intervals would be too narrow.
    """

    def __init__(self, images: int, groups: Sequence[int] | None, seed: int) -> None:
        numbers = np.arange(images) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        self._grouped = groups is not None
        self._groups, self._seed = numbers, seed

    def sums(self, values: np.ndarray) -> np.ndarray:
        """What the sums over images of `values` [N, K] are, were the groups drawn again and again: [resamples, K]."""
        random = np.random.default_rng(self._seed)
        count = int(self._groups.max(initial=-1)) + 1
        by_group = np.zeros((count, values.shape[1]))
        np.add.at(by_group, self._groups, values)
        draws = (random.integers(0, count, count) for _ in range(_RESAMPLES))
        return np.stack([np.bincount(draw, minlength=count) @ by_group for draw in draws])

    def share(self, hits: np.ndarray, among: np.ndarray | None = None) -> Interval:
        """95 % interval of the share of `hits`, bool [N], among the images that are meant, by default all."""
        meant = np.ones(len(hits), bool) if among is None else among
        right, images = int((hits & meant).sum()), int(meant.sum())
        if not self._grouped or not images:
            return wilson(right, images)
        # As many independent images would vary as much as the groups do. Where all or none is right nothing varies, and
        # a group counts as one.
        sums = self.sums(np.column_stack([hits & meant, meant]))
        sums = sums[sums[:, 1] > 0]
        variance = float(np.var(sums[:, 0] / sums[:, 1])) if len(sums) else 0.0
        share = right / images
        groups = len(np.unique(self._groups[meant]))
        worth = share * (1 - share) / variance if variance and 0 < share < 1 else groups
        worth = min(float(images), max(1.0, worth))
        return wilson(share * worth, worth)


def wilson(hits: float, images: float) -> Interval:
    """Wilson's interval of a share: it stays within 0 to 1, also where all or none is right."""
    if not images:
        return 0.0, 1.0
    z2 = _DEVIATIONS_OF_95_PERCENT**2
    middle = (hits + z2 / 2) / (images + z2)
    half = _DEVIATIONS_OF_95_PERCENT / (images + z2) * (hits * (images - hits) / images + z2 / 4) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
