"""The runs that are kept, and whether each still works, has ended, or was cut off."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cli import Conflict, Exit, UsageError
from contracts.run import RunState


@dataclass(frozen=True)
class Kept:
    """A run as its folder tells it. `status` is running, unfinished, succeeded or failed."""

    folder: Path
    state: RunState
    status: str

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def seconds(self) -> float:
        return round(sum(step.seconds for step in self.state.steps), 2)

    def as_json(self) -> dict[str, object]:
        told = {"status": self.status, "seconds": self.seconds, "folder": str(self.folder)}
        return self.state.model_dump(mode="json") | told

    def must_be_resumable(self) -> None:
        """Raises Conflict where the run is under way, UsageError where there is nothing to go on with."""
        if self.status == "running":
            raise Conflict(f"Run {self.key} is under way (process {self.state.pid or '?'}); wait for it to end.")
        if self.status == "succeeded":
            raise UsageError(f"Run {self.key} has succeeded; there is nothing to resume.")
        if self.state.arguments is None or "model" not in self.state.arguments:
            raise UsageError(f"Run {self.key} was recorded by an older Trainyard; start a new run.")


class Runs:
    """All runs below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Kept]:
        """The newest first. A folder without a readable run.json is no run."""
        folders = [path.parent for path in self.folder.glob("*/run.json")]
        found = [kept for kept in map(_kept, folders) if kept]
        return sorted(found, key=lambda kept: str(kept.state.started), reverse=True)

    def find(self, key: str) -> Kept:
        """The one run whose key is `key`, or begins with it.

        Raises:
            UsageError: there is none, or more than one.
        """
        found = self.all()
        matching = [kept for kept in found if kept.key == key] or [kept for kept in found if kept.key.startswith(key)]
        if len(matching) == 1 and key:
            return matching[0]
        if matching and key:
            raise UsageError(f"{len(matching)} runs begin with {key!r}; give more of the key (see `runs list`).")
        raise UsageError(f"There is no run {key!r} in {self.folder}; `runs list` shows those there are.")


def _kept(folder: Path) -> Kept | None:
    try:
        content = json.loads((folder / "run.json").read_text("utf-8"))
        if not isinstance(content, dict) or "steps" not in content:
            return None
        state = RunState.model_validate(content)
    except (OSError, ValueError, ValidationError):
        return None
    return Kept(folder, state, _status(folder, state))


def _status(folder: Path, state: RunState) -> str:
    if state.ended is not None:
        return "succeeded" if state.exit_code == Exit.OK else "failed"
    # Who carries a run out holds its folder; the kernel lets go of it when that process is dead, however it died.
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "running"
    finally:
        os.close(handle)
    return "unfinished"
