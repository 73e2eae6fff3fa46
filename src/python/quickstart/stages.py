"""Shows the stages of the loop as they come and go, and how long each took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape


@dataclass(frozen=True)
class Done:
    """A stage that has ended."""

    name: str
    seconds: float


class Stage:
    """One stage under way; `say` sets the sentence that stands behind its tick."""

    def __init__(self) -> None:
        self.sentence = ""

    def say(self, sentence: str) -> None:
        self.sentence = sentence


class Stages:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self.done: list[Done] = []

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[Stage]:
        """Shows a spinner with `doing` while the block runs, then a line with what came of it."""
        number, started, stage = len(self.done) + 1, time.monotonic(), Stage()
        label = f"[bold]{number:2}/{self._total} {name:<9}[/bold]"
        if not self._console.is_terminal:
            self._console.print(f"{label} {doing} …", soft_wrap=True)
        try:
            with self._console.status(f"{label} {doing} …"):
                yield stage
        except BaseException:
            self._console.print(f"{label} [red]stopped[/red] while: {doing}", soft_wrap=True)
            raise
        seconds = time.monotonic() - started
        self.done.append(Done(name, round(seconds, 2)))
        line = f"{label} [green]✓[/green] {escape(stage.sentence)} [dim]{seconds:.1f} s[/dim]"
        self._console.print(line, soft_wrap=True)
