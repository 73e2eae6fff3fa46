"""Refusals for lack of room, at a steady pace: who asks again at once would otherwise take, by asking, the time in
which others could be answered."""

import asyncio

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
        if self._waiting >= _MOST_WAITING:
            return
        now = asyncio.get_running_loop().time()
        self._next = min(max(self._next + 1 / _A_SECOND, now + _LEAST), now + _MOST)
        self._waiting += 1
        try:
            await asyncio.sleep(self._next - now)
        finally:
            self._waiting -= 1
