"""The command `docker` for tests: it keeps what it was called with, and ends as it was told."""

import json
import sys
from pathlib import Path
from typing import Any

_PROGRAM = """
import json, signal, sys, time
from pathlib import Path

folder = Path(__file__).parent
told = json.loads((folder / "told.json").read_text())
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
match sys.argv[1:]:
    case ["image", "inspect", *_, image]:
        if told["broken"]:
            sys.exit("Cannot connect to the Docker daemon at unix:///run/docker.sock")
        if image not in told["images"]:
            sys.exit(f"Error response from daemon: No such image: {image}")
    case ["info", *_]:
        print(json.dumps(told["info"]))
    case ["inspect", *_]:
        if told["state"] is None:
            sys.exit("Error: No such object")
        print(json.dumps(told["state"]))
    case ["run", *_]:
        def terminate(*_):
            (folder / "terminated").touch()
            sys.exit(143)
        signal.signal(signal.SIGTERM, terminate)
        (folder / "running").touch()
        print(told["says"], flush=True)
        time.sleep(told["seconds"])
        sys.exit(told["code"])
"""


class FakeDocker:
    """To be put on PATH: `folder` holds the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "program.py").write_text(_PROGRAM)
        command = folder / "docker"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder}/program.py" "$@"\n')
        command.chmod(0o755)
        self._told: dict[str, Any] = {
            "broken": False,
            "info": {},
            "images": [],
            "says": "",
            "seconds": 0,
            "code": 0,
            "state": None,
        }
        self.tell()

    def tell(self, **told: Any) -> None:
        """How it answers from now on: `code`, `says` and `seconds` of a run, `state` of a container, `images`."""
        self._told |= told
        (self.folder / "told.json").write_text(json.dumps(self._told))

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call so far."""
        calls = self.folder / "calls"
        return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []

    @property
    def running(self) -> bool:
        """Whether a run has begun."""
        return (self.folder / "running").exists()

    @property
    def terminated(self) -> bool:
        """Whether a run got SIGTERM."""
        return (self.folder / "terminated").exists()
