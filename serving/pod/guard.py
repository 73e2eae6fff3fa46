"""Cleans up behind a program that was killed: `python -m serving.pod.guard`, told what to do line by line on stdin.

Its stdin ends when whoever started it ends, however that comes about. Each line is a JSON object: {"kill": PID},
{"run": [COMMAND…]} or {"remove": FOLDER} is done then, last told first. {"forget": PID} takes a process out again that
has ended, {"done": true} calls it all off.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


class Guard:
    """Starts the guard, and tells it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # By its file: importing the package around it would take longer than all it does.
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Whatever kills a whole group of processes leaves this one.
            start_new_session=True,
        )

    def tell(self, **line: Any) -> None:
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """Everything is cleaned up already."""
        self.tell(done=True)
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    told = [json.loads(line) for line in sys.stdin]
    if any("done" in line for line in told):
        return
    # Its number may be another process's by now.
    forgotten = {line["forget"] for line in told if "forget" in line}
    for line in reversed(told):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if "kill" in line and line["kill"] not in forgotten:
                os.kill(line["kill"], signal.SIGKILL)
            elif "run" in line:
                subprocess.run(line["run"], timeout=60, stdin=subprocess.DEVNULL, check=False)
            elif "remove" in line:
                shutil.rmtree(line["remove"], ignore_errors=True)


if __name__ == "__main__":
    main()
