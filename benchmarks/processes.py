"""Servers that a benchmark starts, and code that it runs in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cli import InfrastructureError
from cli.loopback import open_url
from serving.pod.guard import Guard

_START_SECONDS = 120
_END_SECONDS = 5


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def process(
    command: Sequence[str],
    ready: str,
    log: Path,
    program: Sequence[str] | None = None,
    folder: Path | None = None,
    **environment: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said `ready`, or answers that address with 200; ended afterwards with all that it started.

    `program` is what `command` is handed to, in `folder`: by default this Python, with this process's import path.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    own = {} if program else {"PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)}
    with log.open("wb") as file:
        running = subprocess.Popen(
            [*(program or [sys.executable]), *command],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env={**inherited, **own, **environment},
            start_new_session=True,
        )
    guard = Guard()  # however this program ends, a server that goes on would spoil the next figures
    guard.tell(kill=-running.pid)  # all of its session
    try:
        end = time.monotonic() + _START_SECONDS
        while not _is_ready(ready, log):
            if running.poll() is not None or time.monotonic() > end:
                raise InfrastructureError(f"A server did not start: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.01)
        yield running
    finally:
        # Its own session: whatever it started and left is in it too.
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            running.wait(_END_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        guard.dismiss()


def _is_ready(ready: str, log: Path) -> bool:
    if not ready.startswith("http://"):
        return ready in log.read_text(errors="replace")
    try:
        with open_url(ready, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
