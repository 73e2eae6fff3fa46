"""Which version has a label or a number, without asking the model server for every request."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from serving.adapter.backend import ServedVersion
from serving.adapter.refusals import Refusal

# Seconds for which an answer of the model server is taken for current.
MAX_AGE = 1.0


class RecentVersion:
    """The version that `ask` finds, remembered for `max_age` seconds.

    Questions are asked one at a time, so that answers are never applied in another order than the model server gave
    them in: once `fresh` has returned a version, neither method returns one from before it.
    """

    def __init__(self, ask: Callable[[], Awaitable[ServedVersion]], max_age: float = MAX_AGE) -> None:
        self._ask = ask
        self._max_age = max_age
        self._order = itertools.count(1)
        self._asking = asyncio.Lock()
        # When the last finished question was asked: its place in the order, and the loop's time in seconds.
        self._place = 0
        self._time = float("-inf")
        self._answer: ServedVersion | Refusal | None = None

    async def current(self) -> ServedVersion:
        """The version as of at most `max_age` seconds ago; raises what asking raises."""
        recent = asyncio.get_running_loop().time() - self._time <= self._max_age
        if recent and isinstance(self._answer, ServedVersion):
            return self._answer
        return await self.fresh()

    async def fresh(self) -> ServedVersion:
        """The version as asked for after this call began; several callers share one question."""
        called = next(self._order)
        async with self._asking:
            if self._place < called:
                place, time = next(self._order), asyncio.get_running_loop().time()
                answer: ServedVersion | Refusal
                try:
                    answer = await self._ask()
                except Refusal as refusal:
                    answer = refusal
                self._place, self._time, self._answer = place, time, answer
            answer = self._answer  # type: ignore[assignment]
        if isinstance(answer, Refusal):
            raise answer.with_traceback(None)
        return answer
