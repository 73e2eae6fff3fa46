"""Refusals for lack of room, at a steady pace: who asks again at once would otherwise take, by asking, the time in
which others could be answered."""

import asyncio
from collections.abc import Callable

_A_SECOND = 300.0
# Seconds that one waits at least, however few there are, and at most, however many.
_LEAST, _MOST = 0.1, 1.0
# Each keeps a connection's buffer, or a call's; more are refused at once.
_MOST_WAITING = 512


class Pace:
    """Spreads refusals over time."""

    def __init__(self) -> None:
        self._next = 0.0
        self._waiting = 0

    async def wait(self) -> None:
        """Returns when the next one may be told."""
        seconds = self._seconds()
        if seconds is None:
            return
        self._waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting -= 1

    def call(self, tell: Callable[[], None]) -> None:
        """Has `tell` called when the next one may be told, without a task that waits for it."""
        seconds = self._seconds()
        if seconds is None:
            tell()
            return
        self._waiting += 1
        asyncio.get_running_loop().call_later(seconds, self._over, tell)

    def _over(self, tell: Callable[[], None]) -> None:
        self._waiting -= 1
        tell()

    def _seconds(self) -> float | None:
        if self._waiting >= _MOST_WAITING:
            return None
        now = asyncio.get_running_loop().time()
        self._next = min(max(self._next + 1 / _A_SECOND, now + _LEAST), now + _MOST)
        return self._next - now
