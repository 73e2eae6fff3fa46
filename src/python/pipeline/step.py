"""A step: a command, and how it is started, followed and told about."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Container(Protocol):
    """Where a step runs, if not as a process of its own."""

    def prepare(self) -> None:
        """Clears the way; called before the step is started."""

    def conclude(self, exit_code: int) -> tuple[int, str]:
        """Removes the container, which may still run, and tells how it ended: exit code, and why if not by itself."""


@dataclass(frozen=True)
class Step:
    name: str
    argv: list[str]
    environment: Mapping[str, str]
    container: Container | None = None
    # Of a step that takes figures of load: none other may use the machine meanwhile.
    alone: bool = False
    # How many of what it does (tests), and how many of them a line of its output tells the end of.
    units: int = 0
    counts: Callable[[str], int] | None = field(default=None, compare=False)
    # What its output says of its failure; empty where it has nothing better than its last line.
    explains: Callable[[str], str] | None = field(default=None, compare=False)
    # Set once nobody wants its result any more: it is not begun then, and `Processes.end_unwanted` ends it.
    unwanted: threading.Event | None = field(default=None, compare=False)
