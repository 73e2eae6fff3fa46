"""The processes that a call started, however Pants placed them: a mark in their environment tells."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from typing import NamedTuple


class Process(NamedTuple):
    pid: int
    # Started by Pants, not by another process of the call.
    is_program: bool


class _Row(NamedTuple):
    parent: int
    command: str
    marked: bool

    @property
    def is_pants(self) -> bool:
        # How its daemon calls itself, at once and while it starts.
        return self.command.startswith("pantsd") or "pants.bin" in self.command


def processes(mark: str, client: int) -> list[Process]:
    """Those with `mark` (NAME=VALUE), but for the `client` of Pants and for its daemon, which outlives the call."""
    table = dict(_linux(mark) if os.path.isdir("/proc/self") else _others(mark))
    found = {pid: row for pid, row in table.items() if row.marked and pid != client and not row.is_pants}
    return [
        Process(pid, row.parent == client or (row.parent in table and table[row.parent].is_pants))
        for pid, row in found.items()
    ]


def _linux(mark: str) -> Iterator[tuple[int, _Row]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        # Gone meanwhile, or somebody else's.
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{name}/stat", "rb") as stat:
                parent = int(stat.read().rpartition(b")")[2].split()[1])
            with open(f"/proc/{name}/cmdline", "rb") as cmdline:
                command = cmdline.read().replace(b"\0", b" ").decode(errors="replace")
            marked = False
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as environ:
                marked = mark.encode() in environ.read().split(b"\0")
            yield int(name), _Row(parent, command, marked)


def _others(mark: str) -> Iterator[tuple[int, _Row]]:
    # The environment follows the command; of other users' processes it is not shown.
    listed = subprocess.run(["ps", "-axEww", "-o", "pid=,ppid=,command="], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        pid, parent, command = line.split(maxsplit=2)
        yield int(pid), _Row(int(parent), command, f" {mark} " in f"{command} ")
