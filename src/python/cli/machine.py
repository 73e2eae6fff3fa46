"""What of the machine this process may use: a container has fewer processors and less memory than its host."""

import math
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_OWN_STATUS = Path("/proc/self/status")
# Version 1 writes a number near 2**63 for no limit.
_NO_LIMIT = 1 << 60


def processors(groups: Path = _CONTROL_GROUPS, own: Path = _OWN_GROUP) -> int:
    """How many threads can be busy at once: this process's processors, or the quota of its container if smaller."""
    try:
        here = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        here = os.cpu_count() or 1
    quotas = [quota for folder in _folders(groups, own, "cpu") if (quota := _quota(folder)) is not None]
    return max(1, math.ceil(min([here, *quotas])))


def memory(groups: Path = _CONTROL_GROUPS, own: Path = _OWN_GROUP) -> int:
    """Bytes that this process may use: the machine's memory, or the limit of its container if smaller."""
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [
        limit
        for folder in _folders(groups, own, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (limit := _number(folder / name)) is not None and limit < _NO_LIMIT
    ]
    return int(min([here, *limits]))


@contextmanager
def room(more: int, status: Path = _OWN_STATUS) -> Iterator[None]:
    """Within it, what takes more than `more` bytes beyond those that this process holds fails with an error, where else
    the kernel might end the process without a word. Linux alone tells how many it holds."""
    try:
        held = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmData:"))
    except (OSError, StopIteration):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [(held << 10) + more, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _folders(groups: Path, own: Path, controller: str) -> list[Path]:
    """Where limits may be told: of this process's group and those around it, in version 2; in version 1."""
    found = [groups, groups / controller]
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        path = line.rpartition(":")[2].strip("/")
        if line.startswith("0::") and path and ".." not in path:
            inner = groups / path
            found += [inner, *(folder for folder in inner.parents if folder.is_relative_to(groups))]
    return found


def _quota(folder: Path) -> float | None:
    """Processors that a group may keep busy."""
    try:
        quota, _, period = (folder / "cpu.max").read_text().strip().partition(" ")
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass
    allowed, period_us = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return allowed / period_us if allowed and allowed > 0 and period_us else None


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
