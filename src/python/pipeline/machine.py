"""This machine, as steps share it: what they measure of load is measured while no other step runs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MIB = 2**20
# Of a container (cgroup v2, then v1).
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_mib() -> int:
    """How much memory there is: the machine's, or what this process may use of it."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _LIMITS:
        try:
            found.append(int(file.read_text("ascii")))
        except (OSError, ValueError):
            continue  # "max", or no such limit
    return min(found) // _MIB


@contextmanager
def place(folder: Path, alone: bool) -> Iterator[None]:
    """A step's turn on the machine, among all runs that are kept below `folder`, of this process and of others.

    One that has to be `alone` waits until the others have ended, and those that come meanwhile wait for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    queue, machine = (os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644) for name in (".queue", ".machine"))
    try:
        # Whoever waits to be alone holds the queue, or he would wait as long as others come.
        fcntl.flock(queue, fcntl.LOCK_EX)
        try:
            fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(queue, fcntl.LOCK_UN)
        yield
    finally:
        # The kernel frees both, also on a kill.
        os.close(queue)
        os.close(machine)
