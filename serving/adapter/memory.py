"""Memory that pictures take, and how it goes back to the system."""

import asyncio
import contextlib
import ctypes
from collections import deque

# Pixels of a picture after which memory is handed back: that takes a millisecond, decoding such a picture fifty.
LARGE = 4_000_000
# glibc's mallopt: blocks of this many bytes and more are mapped, so they go back to the system when they are freed.
# Left alone, glibc raises the threshold to the largest block that was freed, and then keeps what it frees.
_MMAP_THRESHOLD, _THRESHOLD_BYTES = -3, 1024 * 1024


class Budget:
    """So many at once and no more; who wants much waits for its turn and holds up nobody who came before it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, amount: int) -> None:
        """Waits for `amount` of it; more than there is waits until all of it is free. `give` gives it back."""
        amount = min(amount, self._most)
        if self._taken + amount <= self._most:
            self._taken += amount
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give(amount)  # it was granted at the same moment
            raise

    def give(self, amount: int) -> None:
        self._taken -= min(amount, self._most)
        while self._waiting and (self._waiting[0][1].cancelled() or self._taken + self._waiting[0][0] <= self._most):
            wanted, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._taken += wanted
                turn.set_result(None)


def prepare() -> None:
    """Called once, before anything large is allocated. Does nothing where the C library is not glibc."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _THRESHOLD_BYTES)


def hand_back() -> None:
    """Gives what is free in glibc's arenas back to the system."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
