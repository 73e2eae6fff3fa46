"""Runs that take long give way to short ones: they go to threads of lower priority, as far as the system has such."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# Of processor time, which others on the machine do not lengthen.
LONG_SECONDS = 0.1
# On a busy core such a thread gets a tenth of what others get, and is put off as soon as one of them has work.
_NICE = 10
_MOST_THREADS = 512  # made as they are needed; how many run at once is decided elsewhere


class GivingWay:
    """`run`, in this thread as long as it is quick, and in one of lower priority after it took long."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        self._spent = 0.0

    def __call__(self, *arguments: Any) -> Any:
        """What `run` answers or raises."""
        if self._spent < LONG_SECONDS:
            return self._timed(*arguments)
        return _pool.submit(self._timed, *arguments).result()

    def _timed(self, *arguments: Any) -> Any:
        began = time.thread_time()
        try:
            return self._run(*arguments)
        finally:
            self._spent = time.thread_time() - began


def _lower() -> None:
    # Linux alone has a priority for each thread; where that is not so, this one stays as it is.
    with contextlib.suppress(OSError):
        if hasattr(os, "sched_getaffinity"):
            number = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, number, min(19, os.getpriority(os.PRIO_PROCESS, number) + _NICE))


_pool = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="long", initializer=_lower)
