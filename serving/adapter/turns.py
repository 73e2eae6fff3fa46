"""Requests begun a few in each turn of the event loop. When hundreds come at one moment, others have their turn between
them, such as who asks whether the adapter is alive."""

import asyncio
from collections import deque
from collections.abc import Callable

_A_TURN = 4


class Turns:
    """Of one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def begin(self, request: Callable[[], None]) -> None:
        """Has `request` called in its turn, after all that came before it."""
        self._waiting.append(request)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        now = [self._waiting.popleft() for _ in range(min(_A_TURN, len(self._waiting)))]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        for request in now:
            request()
