"""Figures that are compared with each other, measured in turn and again and again.

A machine's speed changes by up to two within minutes, with whoever else is on it. What was measured within seconds of
each other was measured at about the same speed: a ratio is taken in each round, and the median of the rounds is told.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable


class Rounds:
    """Figures by what they are of, one a round."""

    def __init__(self) -> None:
        self._found: dict[Hashable, list[float]] = defaultdict(list)

    def add(self, of: Hashable, figure: float) -> None:
        self._found[of].append(figure)

    def __contains__(self, of: Hashable) -> bool:
        return of in self._found

    def ways(self) -> list[str]:
        """The first words of what has a "rate", in the order in which they were measured."""
        keys = [key for key in self._found if isinstance(key, tuple)]
        return list(dict.fromkeys(key[0] for key in keys if key[-1] == "rate"))

    def last(self, of: Hashable) -> float:
        return self._found[of][-1]

    def median(self, of: Hashable) -> float:
        return statistics.median(self._found[of])

    def ratio(self, of: Hashable, to: Hashable) -> float:
        """The median of what `of` was, measured by what `to` was in the same round."""
        return self._compared(lambda one, other: one / other, of, to)

    def difference(self, of: Hashable, to: Hashable) -> float:
        return self._compared(lambda one, other: one - other, of, to)

    def _compared(self, how: Callable[[float, float], float], of: Hashable, to: Hashable) -> float:
        return statistics.median(how(*pair) for pair in zip(self._found[of], self._found[to], strict=True))
