"""What an import takes, and what it leaves out and why."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict


class LeftOut(Exception):
    """A file that can't become an image of the dataset; the text is the reason, the same for all of its kind."""


@dataclass(frozen=True)
class Candidate:
    """A file that may become an image of the dataset."""

    path: Path
    where: str  # as people know it: within the source
    label: str
    # In clear; nothing writes it.
    group: str = ""


class Reason(TypedDict):
    reason: str
    count: int
    files: list[str]


@dataclass
class Account:
    """Of one import. Threads may add to it."""

    taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by class
    already: int = 0  # were in the target before
    groups: set[str] = field(default_factory=set)  # their hashes
    # Reason -> files.
    out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def leave_out(self, reason: str, where: str) -> None:
        with self._lock:
            self.out[reason].append(where)

    def take(self, label: str, group: str, new: bool) -> None:
        with self._lock:
            self.taken[label] += new
            self.already += not new
            self.groups |= {group} - {""}

    @property
    def images(self) -> int:
        return sum(self.taken.values())

    def reasons(self, most: int) -> list[Reason]:
        """The most frequent first; of each at most so many files."""
        several = sorted(self.out.items(), key=lambda item: (-len(item[1]), item[0]))
        return [{"reason": reason, "count": len(files), "files": sorted(files)[:most]} for reason, files in several]


Progress = Callable[[int, int], None]
