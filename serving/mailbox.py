"""What threads have to say to the event loop: it is woken once for all that waits, not once for each."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Mailbox:
    """Runs calls of other threads, none of which may raise, in the event loop in which it is made.

    `call_soon_threadsafe` writes to a socket for every call, and the thread that does so hands the interpreter over.
    """

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._woken = False
        self._loop = asyncio.get_running_loop()

    def tell(self, call: Callable[..., None], *arguments: Any) -> None:
        """From any thread: `call(*arguments)` in the event loop, soon and in order; nothing once that is closed."""
        self._calls.append((call, arguments))
        # Whoever finds the flag set has put its call before the loop looks: it is let down first.
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._run)

    async def over(self, work: "Future[T]") -> T:
        """In the event loop: waits for what a thread does; returns or raises what it does.

        Whoever is cancelled meanwhile cancels it too, which ends what has not begun.
        """
        waited: asyncio.Future[T] = self._loop.create_future()
        work.add_done_callback(lambda ended: self.tell(_hand_over, ended, waited))
        try:
            return await waited
        except asyncio.CancelledError:
            work.cancel()
            raise

    def _run(self) -> None:
        self._woken = False
        while self._calls:
            call, arguments = self._calls.popleft()
            call(*arguments)


def _hand_over(ended: "Future[T]", waited: "asyncio.Future[T]") -> None:
    if waited.done():
        return
    if ended.cancelled():
        waited.cancel()
    elif error := ended.exception():
        waited.set_exception(error)
    else:
        waited.set_result(ended.result())
