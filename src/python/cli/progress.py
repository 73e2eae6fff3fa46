"""Shows how far a command is and how long it will take: a bar on a terminal, a line now and then in a log file."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY = 10  # seconds


class Tell(Protocol):
    def __call__(self, done: int, total: int, detail: str = "") -> None: ...


@contextmanager
def shown(console: Console, what: str) -> Iterator[Tell]:
    """A function to tell the progress of `what` to."""
    if not console.is_terminal:
        yield _lines(console, what)
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    with Progress(*columns, TextColumn("{task.fields[detail]}"), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(what, total=None, detail="")

        def tell(done: int, total: int, detail: str = "") -> None:
            bar.update(task, completed=done, total=total, detail=detail)

        yield tell


def _lines(console: Console, what: str) -> Tell:
    started = last = time.monotonic()

    def tell(done: int, total: int, detail: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _LINE_EVERY:
            last = now
            left = f" ({(now - started) / done * (total - done):.0f} s left)" if 0 < done < total else ""
            console.print(f"{what}: {done}/{total} {detail}".rstrip() + left, soft_wrap=True, markup=False)

    return tell
