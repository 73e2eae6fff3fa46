"""What a training run keeps while it is under way, so that the same command goes on where it was cut off.

<folder>/<version>/run.json           which run it is
                   trial-<n>.npz      the state of the trial under way
                   trials.json        the trials that are over
                   best-<n>.npz       the weights of the best of them
                   model/             what will be published
                   logs/              for TensorBoard; stays

A file appears whole or not at all. Whoever works on a run holds a lock, which ends with the process.
"""

import fcntl
import io
import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cli import Conflict
from registry import Trial
from registry.staging import staged_file, sweep, sync_folder
from training.state import State, Weights

_RUN = "run.json"
_STAGING = ".staging"
_LOCK = ".lock"
# Saving may take this share of the time, or it waits for a later epoch.
_COST = 0.05


class Kept:
    """The folder of one run, held by this process."""

    def __init__(self, folder: Path, key: str) -> None:
        """Makes the folder or, if it is there, takes it over.

        Raises:
            Conflict: another process works on the run.
        """
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Conflict(
                f"This very training is under way already, as version {folder.name}; wait for it to end, or change "
                "the seed."
            ) from None
        sweep(folder / _STAGING)
        if _key(folder) != key:
            self._write(_RUN, json.dumps({"key": key, "version": int(folder.name)}).encode())
        self._saved, self._cost = -1e9, 0.0

    @classmethod
    def resumed(cls, parent: Path, key: str, versions: Iterable[int]) -> "Kept | None":
        """The run with this key among those of `versions`, if one was cut off."""
        for version in versions:
            if _key(parent / str(version)) == key:
                return cls(parent / str(version), key)
        return None

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def state(self, trial: int) -> State | None:
        """Where a trial was left, or None where it was not begun (or can't be read: then it begins anew)."""
        try:
            return State.from_bytes((self.folder / f"trial-{trial}.npz").read_bytes())
        except (OSError, ValueError):
            return None

    def save(self, trial: int, state: State, urgent: bool) -> None:
        """Keeps the state of a trial; without urgency only if that takes little of the time."""
        if not urgent and time.monotonic() - self._saved < self._cost / _COST:
            return
        started = time.monotonic()
        self._write(f"trial-{trial}.npz", state.to_bytes())
        self._saved = time.monotonic()
        self._cost = self._saved - started

    def trials(self) -> list[Trial]:
        try:
            return [Trial.model_validate(trial) for trial in json.loads((self.folder / "trials.json").read_text())]
        except FileNotFoundError:
            return []

    def finish(self, trials: list[Trial], best: Weights | None) -> None:
        """Keeps how all trials so far ended, and the weights of the last one if it is the best."""
        number = trials[-1].number
        if best is not None:
            buffer = io.BytesIO()
            np.savez(buffer, *best)
            self._write(f"best-{number}.npz", buffer.getvalue())
        self._write("trials.json", json.dumps([trial.model_dump(mode="json") for trial in trials]).encode())
        self._saved = -1e9
        (self.folder / f"trial-{number}.npz").unlink(missing_ok=True)
        if best is not None:
            for old in self.folder.glob("best-*.npz"):
                if old.name != f"best-{number}.npz":
                    old.unlink()

    def best(self, number: int) -> Weights:
        with np.load(self.folder / f"best-{number}.npz", allow_pickle=False) as arrays:
            return [arrays[f"arr_{i}"] for i in range(len(arrays.files))]

    def clear(self) -> None:
        """Removes everything but the logs: the run is over."""
        (self.folder / _RUN).unlink(missing_ok=True)
        for entry in self.folder.iterdir():
            if entry.is_dir() and entry != self.logs:
                shutil.rmtree(entry)
            elif not entry.is_dir():
                entry.unlink()

    def close(self) -> None:
        os.close(self._lock)

    def _write(self, name: str, data: bytes) -> None:
        area = self.folder / _STAGING
        area.mkdir(exist_ok=True)
        with staged_file(area, data) as staged:
            os.replace(staged, self.folder / name)
        sync_folder(self.folder)


def _key(folder: Path) -> str | None:
    try:
        return json.loads((folder / _RUN).read_text())["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
