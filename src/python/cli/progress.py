"""Shows how far a command is and how long it will take: a bar on a terminal, a line now and then in a log file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY = 10  # seconds

Tell = Callable[[int, int], None]  # done, in all


@contextmanager
def shown(console: Console, what: str) -> Iterator[Tell]:
    """A function to tell the progress of `what` to."""
    if not console.is_terminal:
        yield _lines(console, what)
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(console: Console, what: str) -> Tell:
    started = last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _LINE_EVERY:
            last = now
            left = f", about {(now - started) / done * (total - done):.0f} s left" if 0 < done < total else ""
            console.print(f"{what}: {done}/{total}{left}", soft_wrap=True, markup=False)

    return tell
