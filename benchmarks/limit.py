"""The limit of every server, measured whenever it is asked for, by a process that waits meanwhile."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from cli import InfrastructureError


@dataclass(frozen=True)
class Limit:
    """The bare model in a process of its own."""

    asked: IO[str]
    told: IO[str]

    def of(self, many: int, seconds: float) -> float:
        """Images a second with so many at once, in the best of a few ways."""
        return self._ask(many, seconds)

    def alone(self, seconds: float) -> float:
        """The p50 of one image after the other, in ms."""
        return self._ask(0, seconds)

    def _ask(self, many: int, seconds: float) -> float:
        self.asked.write(json.dumps([many, seconds]) + "\n")
        self.asked.flush()
        if not (line := self.told.readline()):
            raise InfrastructureError("The bare model could not be measured: its process has ended.")
        return float(line)


@contextmanager
def bare_model(module: str, *arguments: str) -> Iterator[Limit]:
    """A process that calls the `answer` of `module` with `arguments`."""
    code = f"import {module}; {module}.answer(*{arguments!r})"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), TF_CPP_MIN_LOG_LEVEL="3")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stdin and running.stdout
        yield Limit(running.stdin, running.stdout)
        running.stdin.close()


def answer_lines(rate: Callable[[int, float], float], alone: Callable[[], None]) -> None:
    """A figure for each line of standard input, which says how many at once and for how many seconds; with none, the
    p50 of calls of `alone` in ms."""
    for line in sys.stdin:
        many, seconds = json.loads(line)
        print(rate(many, seconds) if many else _median_ms(alone, seconds), flush=True)


def calls_a_second(call: Callable[[], None], threads: int, seconds: float) -> float:
    """Of so many threads together."""
    call()

    def loop(_: int) -> int:
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            call()
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        return sum(pool.map(loop, range(threads))) / (time.perf_counter() - began)


def _median_ms(call: Callable[[], None], seconds: float) -> float:
    took: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(took) < 20:
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2] * 1000
