"""Runs that take long give way to short ones: they are done by threads of lower priority, as far as there are such."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any

LONG_SECONDS = 0.1
_IN_A_ROW = 2  # the very first run of a model does work that no later one does
# On a busy core such a thread gets a tenth of what others get, and is put off as soon as one of them has work.
# No lower: with SCHED_IDLE a quick model waited less beside slow ones that work steadily (p99 13 ms for 18), but up to
# 1.4 s beside 40 clients that leave all at once, on busy cores; so it did with 19, and with SCHED_BATCH.
_NICE = 10


class GivingWay:
    """A run, in this thread as long as it is quick, and by threads of lower priority after it took long twice.

    Those are TensorFlow's own, never Python's: one that holds the interpreter's lock while it waits for its turn at a
    busy core would keep the whole server waiting, for seconds.
    """

    def __init__(self, run: Callable[..., Any], make_giving_way: Callable[[], Callable[..., Any]]) -> None:
        """`make_giving_way`: the same run by such threads; asked for once, when there is need of it."""
        self._quick = run
        self._make = make_giving_way
        self._giving_way: Callable[..., Any] | None = None
        self._long = 0  # runs in a row
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Any:
        """What the run answers or raises."""
        # Here the processor's time tells, which others on the machine do not lengthen; there it is not known.
        gives_way = self._long >= _IN_A_ROW
        run, clock = (self._slow(), time.perf_counter) if gives_way else (self._quick, time.thread_time)
        began = clock()
        try:
            return run(*arguments)
        finally:
            self._long = self._long + 1 if clock() - began >= LONG_SECONDS else 0

    def _slow(self) -> Callable[..., Any]:
        with self._lock:
            if self._giving_way is None:
                self._giving_way = self._make()
            return self._giving_way


def lowered(work: Callable[[], None]) -> None:
    """Do `work` in a thread of lower priority; threads that it starts have the same."""

    def do() -> None:
        # Linux alone has a priority for each thread; where that is not so, this one stays as it is.
        with contextlib.suppress(OSError):
            if hasattr(os, "sched_getaffinity"):
                number = threading.get_native_id()
                os.setpriority(os.PRIO_PROCESS, number, min(19, os.getpriority(os.PRIO_PROCESS, number) + _NICE))
        work()

    thread = threading.Thread(target=do, name="lowered")
    thread.start()
    thread.join()
