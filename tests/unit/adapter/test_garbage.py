"""What an adapter begins with is never looked through for garbage again: that would hold all requests."""

import os
import subprocess
import sys

from serving.adapter import lifecycle  # noqa: F401  what the script below runs

_SCRIPT = """
import asyncio, gc, os, signal
from serving.adapter import lifecycle
from serving.adapter.limits import Limits

async def main():
    began = asyncio.Event()
    lifecycle._say_where = lambda *_: began.set()
    options = lifecycle.Options(
        backend="127.0.0.1:1", model="m", host="127.0.0.1", grpc_port=0, http_port=0, limits=Limits(), drain_timeout=1
    )
    serving = asyncio.create_task(lifecycle.serve(options))
    await began.wait()
    # Collecting looks at these alone.
    print("objects", len(gc.get_objects()), gc.get_freeze_count(), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await serving

asyncio.run(main())
"""


def test_what_is_there_at_the_start_is_no_garbage():
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path or os.getcwd() for path in sys.path))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("objects")]
    looked_at, kept = map(int, line.split()[1:])
    assert looked_at < 5_000 < 20_000 < kept
