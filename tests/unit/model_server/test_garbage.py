"""What TensorFlow's import makes is never looked through for garbage again: that would hold all threads."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import gc
from serving.model_server.__main__ import _imported

server = _imported()
assert server.__name__ == "Server", server
assert gc.isenabled()
# Collecting looks at these alone.
print(len(gc.get_objects()), gc.get_freeze_count())
"""


def test_imports_are_no_garbage() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    looked_at, kept = map(int, done.stdout.split())
    assert looked_at < 10_000 < 100_000 < kept
