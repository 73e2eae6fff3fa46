"""Lets in as many requests as can be worked on at once, and none while the adapter shuts down."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from serving.adapter.refusals import Overloaded, Unavailable


class Admission:
    """Counts the requests in flight, gRPC and REST together."""

    def __init__(self, max_in_flight: int) -> None:
        self.in_flight = 0
        # Set from the signal to shut down until the end.
        self.draining = asyncio.Event()
        self._max_in_flight = max_in_flight
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """A place among those in flight for as long as the context lasts.

        Raises:
            Unavailable: the adapter is shutting down.
            Overloaded: no place is free.
        """
        if self.draining.is_set():
            raise Unavailable("The adapter is shutting down; ask another one.")
        if self.in_flight >= self._max_in_flight:
            raise Overloaded(f"{self.in_flight} requests are being worked on already; try again shortly.")
        self.in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    async def drain(self, timeout: float) -> bool:
        """Let nothing in any more and wait for what is in flight; false if it takes over `timeout` seconds."""
        self.draining.set()
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
