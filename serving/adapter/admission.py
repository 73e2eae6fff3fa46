"""Lets in as many requests as can be worked on at once, and none while the adapter shuts down."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from serving.adapter.refusals import Overloaded, Unavailable

_HOLD = 0.3  # seconds
# Seconds that a place is kept for a call whose message is on its way: a network's way, not a slow sender's.
_KEPT = 0.02


class Admission:
    """Counts what is here, gRPC and REST together.

    A request arrives (its body may still be on the way, and a stream may say nothing for long), and takes a place while
    it is worked on. Only places are scarce; an end of the adapter waits for all that has arrived.
    """

    def __init__(self, max_in_flight: int, max_streams: int) -> None:
        self.in_flight = 0
        # Set from the signal to shut down until the end.
        self.draining = asyncio.Event()
        # Set once all is answered: who asks now is held until `leaving`.
        self.closing = False
        # Set once clients have been told not to send further calls on their connections.
        self.leaving = asyncio.Event()
        self._streams = 0
        self._max_streams = max_streams
        self._max_in_flight = max_in_flight
        self._places = asyncio.Semaphore(max_in_flight)
        # Until when places are kept, the oldest first.
        self._kept: deque[float] = deque()
        self._here = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def here(self) -> int:
        """Requests and streams that have arrived and are not answered yet."""
        return self._here

    @property
    def full(self) -> bool:
        """Whether no place is free."""
        return self._places.locked()

    @property
    def spoken_for(self) -> bool:
        """Whether no place is free that is not kept for who was just let in."""
        now = asyncio.get_running_loop().time()
        while self._kept and self._kept[0] <= now:
            self._kept.popleft()
        return self.in_flight + len(self._kept) >= self._max_in_flight

    def expect(self) -> None:
        """Keeps a place for a moment, so that no more are let in than there are places. Whoever takes one ends it."""
        self._kept.append(asyncio.get_running_loop().time() + _KEPT)

    @contextmanager
    def arrive(self) -> Iterator[None]:
        """Around a request, from before its body is read. Nobody who has arrived is sent away for a shutdown.

        Raises:
            Unavailable: the adapter is shutting down.
            Overloaded: no place is free, so that reading the body would be in vain.
        """
        if self.draining.is_set():
            raise Unavailable("The adapter is shutting down; ask another one.")
        self._check_places()
        with self._counted():
            yield

    @contextmanager
    def open_stream(self) -> Iterator[None]:
        """Around a stream; its images take places, it has none itself.

        Raises:
            Unavailable: the adapter is shutting down.
            Overloaded: too many streams are open.
        """
        if self.draining.is_set():
            raise Unavailable("The adapter is shutting down; ask another one.")
        if self._streams >= self._max_streams:
            raise Overloaded(f"{self._streams} streams are open already; try again shortly.")
        self._streams += 1
        try:
            with self._counted():
                yield
        finally:
            self._streams -= 1

    @asynccontextmanager
    async def place(self, wait: bool = False) -> AsyncIterator[None]:
        """A place among those in flight for as long as the context lasts.

        Raises:
            Overloaded: none is free, and it is not to `wait` for one.
        """
        if not wait:
            self._check_places()
        async with self._places:
            self.in_flight += 1
            if self._kept:
                self._kept.popleft()
            try:
                yield
            finally:
                self.in_flight -= 1

    async def hold(self) -> None:
        """Before a call is refused because of a shutdown: who waits for this answer sends no further call meanwhile.

        A call that reaches gRPC's server while it stops is cancelled, which no client tries again elsewhere.
        """
        while not self.leaving.is_set():
            try:
                async with asyncio.timeout(_HOLD):
                    await self.leaving.wait()
            except TimeoutError:
                if not self.closing:
                    return

    async def drain(self, timeout: float) -> bool:
        """Let nothing in any more and wait for what is here; false if it takes over `timeout` seconds."""
        self.draining.set()
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def overloaded(self) -> Overloaded:
        """What to tell while no place is free."""
        return Overloaded(f"{self.in_flight} requests are being worked on already; try again shortly.")

    def _check_places(self) -> None:
        if self.full:
            raise self.overloaded()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._here += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._here -= 1
            if not self._here:
                self._empty.set()
