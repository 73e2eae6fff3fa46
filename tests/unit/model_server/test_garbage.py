"""What TensorFlow's import makes is never looked through for garbage again: that would hold all threads."""

from __future__ import annotations

import os
import subprocess
import sys

from serving.model_server import __main__ as program

_SCRIPT = f"""
import gc
from {program.__name__} import _imported

server = _imported()
assert server.__name__ == "Server", server
assert gc.isenabled()
# Collecting looks at these alone.
print(len(gc.get_objects()), gc.get_freeze_count())
"""


def test_imports_are_no_garbage() -> None:
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path or os.getcwd() for path in sys.path))
    command = [sys.executable, "-c", _SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    looked_at, kept = map(int, done.stdout.split())
    assert looked_at < 10_000 < 100_000 < kept
