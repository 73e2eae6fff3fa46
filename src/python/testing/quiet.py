"""A turn to measure on this machine: what one run measures of load is not measured beside another's burst of requests.

`pipeline run --parallel` keeps a model's tests apart from other steps; this keeps apart whatever `test_model` calls
there are on the machine, however they were started.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = "trainyard-measures-load.lock"


@contextmanager
def alone(say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Waits until nobody else on this machine is in here; `say` hears of it if that takes longer than a moment."""
    descriptor = _opened(Path(tempfile.gettempdir()) / _NAME)
    if descriptor is None:
        yield  # to measure beside another is better than not to measure
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another test of a model measures load on this machine; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # The kernel frees the lock, also on a kill. The file stays: others may be waiting on it.
        os.close(descriptor)


def _opened(path: Path) -> int | None:
    """The lock's file, which may belong to another user, who let nobody else write to it."""
    for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CREAT | os.O_EXCL, os.O_RDONLY):
        try:
            # No link: in a folder that everybody writes to, it may lead anywhere.
            return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError:
            continue  # made or removed by somebody else meanwhile
    return None
