"""Who waits for an answer: work that nobody waits for any longer is not begun."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from typing import TypeVar

import grpc

from serving.model_server.errors import ServingError

T = TypeVar("T")
_here = threading.local()
# When nobody waits any longer for what this thread or task works on (time.monotonic); None: nobody knows.
_until: ContextVar[float | None] = ContextVar("until", default=None)


def deadline() -> float | None:
    """When nobody waits any longer for what is worked on here, by time.monotonic; None: nobody knows."""
    return _until.get()


@contextlib.contextmanager
def ending_at(when: float | None) -> Iterator[None]:
    """What runs inside, in this thread or task, is waited for until `when`."""
    before = _until.set(when)
    try:
        yield
    finally:
        _until.reset(before)


class Caller:
    """One request's client, as far as its work has to know: is it still there?"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone = False
        self._then: list[Callable[[], object]] = []
        self._until = deadline()

    def leave(self) -> None:
        """It went away, or its deadline passed. What waits for it is told."""
        with self._lock:
            self._gone, then, self._then = True, self._then, []
        for tell in then:
            tell()

    def is_gone(self) -> bool:
        """Whether it left."""
        return self._gone

    def when_gone(self, tell: Callable[[], object]) -> None:
        """Call `tell` once the client is gone; at once if it is."""
        with self._lock:
            if not self._gone:
                self._then.append(tell)
                return
        tell()

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """What runs inside, in this thread, runs for this client."""
        _here.caller = self
        try:
            with ending_at(self._until):
                yield
        finally:
            _here.caller = None


def wait_for(result: Future[T]) -> T:
    """The result, cancelled as soon as the client that this thread works for is gone. Raises ServingError then."""
    caller: Caller | None = getattr(_here, "caller", None)
    if caller is not None and not result.done():
        caller.when_gone(result.cancel)
    try:
        return result.result()
    except CancelledError:
        raise ServingError(grpc.StatusCode.CANCELLED, "The client went away before its turn came.") from None


@contextlib.contextmanager
def while_waited_for(end: Callable[[], object]) -> Iterator[None]:
    """Calls `end` if the client that this thread works for goes away inside."""
    caller: Caller | None = getattr(_here, "caller", None)
    lock, inside = threading.Lock(), True

    def gone() -> None:
        with lock:
            if inside:
                end()

    if caller is not None:
        caller.when_gone(gone)
    try:
        yield
    finally:
        with lock:
            inside = False


def cores() -> int:
    """As many as this process has, at least two."""
    return max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


class Places:
    """Runs of one model at the same time. More than there are cores make each other slower, and every other model."""

    def __init__(self, places: int | None = None) -> None:
        """`places`: None for as many as this process has cores, at least two."""
        self._free = places or cores()
        self._waiting: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        """Waits for a place. Raises ServingError when the client goes away before there is one."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn: Future[None] = Future()
            self._waiting.append(turn)
        wait_for(turn)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._free += 1
