"""Shows how far a command is and how long it will take: a bar on a terminal, a line now and then in a log file."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_LINE_EVERY = 10  # seconds


class Tell(Protocol):
    def __call__(self, done: int, total: int, detail: str = "", seconds_left: float | None = None) -> None:
        """`seconds_left` is for who knows it better than by what the part that is done took."""


@contextmanager
def shown(console: Console, what: str) -> Iterator[Tell]:
    """A function to tell the progress of `what` to."""
    if not console.is_terminal:
        yield _lines(console, what)
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    with Progress(*columns, TextColumn("{task.fields[detail]}"), _TimeLeft(), console=console) as bar:
        task = bar.add_task(what, total=None, detail="", seconds_left=None)

        def tell(done: int, total: int, detail: str = "", seconds_left: float | None = None) -> None:
            bar.update(task, completed=done, total=total, detail=detail, seconds_left=seconds_left)

        yield tell


class _TimeLeft(TimeRemainingColumn):
    def render(self, task: Task) -> Text:
        left = task.fields.get("seconds_left")
        return super().render(task) if left is None else Text(f"{left:.0f} s left", style="progress.remaining")


def _lines(console: Console, what: str) -> Tell:
    started = last = time.monotonic()

    def tell(done: int, total: int, detail: str = "", seconds_left: float | None = None) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _LINE_EVERY:
            last = now
            left = ""
            if 0 < done < total:
                seconds = (now - started) / done * (total - done) if seconds_left is None else seconds_left
                left = f" ({seconds:.0f} s left)"
            console.print(f"{what}: {done}/{total} {detail}".rstrip() + left, soft_wrap=True, markup=False)

    return tell
