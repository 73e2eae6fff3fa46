"""Runs that take long give way to short ones: by threads of lower priority, and by leaving them a core."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from serving.model_server.callers import cores, wait_for

LONG_SECONDS = 0.1
# How long a quick model is reckoned with after it answered. A long run is not interrupted once it has begun, so this
# is about as long as one may take.
RECENT_SECONDS = 5.0
_IN_A_ROW = 2  # the very first run of a model does work that no later one does
# On a busy core such a thread gets a tenth of what others get, and is put off as soon as one of them has work.
# No lower: when long runs could still take every core, SCHED_IDLE, SCHED_BATCH and 19 made a quick model wait for up to
# 1.4 s beside 40 clients that leave all at once.
_NICE = 10


class LongRuns:
    """Counts the long runs of all models that are under way.

    They may take every core, but one less while other models answer quickly. Priority alone does not do: on a machine
    whose cores all work on long runs, each step of a short one waits for a core.
    """

    def __init__(self, of_cores: int | None = None) -> None:
        """`of_cores`: None for as many as this process has, at least two."""
        self._cores = of_cores or cores()
        self._lock = threading.Lock()
        self._under_way = 0
        # Whose the last quick run was, and the last one before it that was of another model or signature; and when.
        # By `id`: nothing of a model is kept here.
        self._quick: deque[tuple[int, float]] = deque(maxlen=2)
        self._waiting: deque[tuple[GivingWay, Future[None]]] = deque()
        self._others: list[Callable[[], object]] = []

    def begin(self, call: Callable[..., Any]) -> Callable[[], None] | None:
        """Takes a place for a run; returns what gives it back, or None where there is none now.

        Only a run that is known to be long needs one.
        """
        if not isinstance(call, GivingWay) or not call.is_long:
            return _nothing
        with self._lock:
            if not self._has_place(call):
                return None
            self._under_way += 1
        return self._end

    def may_begin(self, call: Callable[..., Any]) -> bool:
        """Whether `begin` would find a place now."""
        if not isinstance(call, GivingWay) or not call.is_long:
            return True
        with self._lock:
            return self._has_place(call)

    @contextlib.contextmanager
    def turn(self, call: Callable[..., Any]) -> Iterator[None]:
        """Waits for a place, and holds it. Raises ServingError when the client goes away before there is one."""
        end = self._begin_or_wait(call)
        try:
            yield
        finally:
            end()

    def when_ended(self, tell: Callable[[], object]) -> None:
        """Call `tell` whenever a long run has ended and nobody waits in `turn`."""
        self._others.append(tell)

    def was_quick(self, call: GivingWay) -> None:
        """`call` has just run, and took no time."""
        now = (id(call), time.monotonic())
        if self._quick and self._quick[-1][0] == now[0]:
            self._quick[-1] = now
        else:
            self._quick.append(now)

    def _begin_or_wait(self, call: Callable[..., Any]) -> Callable[[], None]:
        if not isinstance(call, GivingWay) or not call.is_long:
            return _nothing
        with self._lock:
            if not self._waiting and self._has_place(call):
                self._under_way += 1
                return self._end
            mine: Future[None] = Future()
            self._waiting.append((call, mine))
        wait_for(mine)
        return self._end

    def _has_place(self, call: GivingWay) -> bool:
        earliest = time.monotonic() - RECENT_SECONDS
        quick = any(other != id(call) and at > earliest for other, at in tuple(self._quick))
        return self._under_way < max(1, self._cores - quick)

    def _end(self) -> None:
        with self._lock:
            self._under_way -= 1
            while self._waiting and self._has_place(self._waiting[0][0]):
                _, first = self._waiting.popleft()
                if first.set_running_or_notify_cancel():
                    self._under_way += 1
                    first.set_result(None)
            crowded = bool(self._waiting)
        if not crowded:
            for tell in self._others:
                tell()


class GivingWay:
    """A run, in this thread as long as it is quick, and by threads of lower priority after it took long twice.

    Those are TensorFlow's own, never Python's: one that holds the interpreter's lock while it waits for its turn at a
    busy core would keep the whole server waiting, for seconds.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        make_giving_way: Callable[[], Callable[..., Any]],
        long_runs: LongRuns | None = None,
    ) -> None:
        """`make_giving_way`: the same run by such threads; asked for once, when there is need of it."""
        self._quick = run
        self._make = make_giving_way
        self._long_runs = long_runs or LongRuns()
        self._giving_way: Callable[..., Any] | None = None
        self._long = 0  # runs in a row
        self._lock = threading.Lock()

    @property
    def is_long(self) -> bool:
        """Whether its runs are known to take long."""
        return self._long >= _IN_A_ROW

    def __call__(self, *arguments: Any) -> Any:
        """What the run answers or raises."""
        # Here the processor's time tells, which others on the machine do not lengthen; there it is not known.
        run, clock = (self._slow(), time.perf_counter) if self.is_long else (self._quick, time.thread_time)
        began = clock()
        answer = run(*arguments)
        # One that was refused tells nothing of the others.
        if clock() - began >= LONG_SECONDS:
            self._long += 1
        else:
            self._long = 0
            self._long_runs.was_quick(self)
        return answer

    def _slow(self) -> Callable[..., Any]:
        with self._lock:
            if self._giving_way is None:
                self._giving_way = self._make()
            return self._giving_way


class Least:
    """Hands out the number that fewest have."""

    def __init__(self, numbers: int) -> None:
        self._taken = [0] * numbers
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def one(self) -> Iterator[int]:
        """A number from 0 on, taken inside."""
        with self._lock:
            number = self._taken.index(min(self._taken))
            self._taken[number] += 1
        try:
            yield number
        finally:
            with self._lock:
                self._taken[number] -= 1


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


def _nothing() -> None:
    pass
