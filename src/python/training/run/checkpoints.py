"""Checkpoints of a training run under way: an interrupted run is resumed from them by the same command.

In the registry, wherever that is, so that another machine can resume it too:

runs/<version>/run.json           which run it is
               trial-<n>.npz      the state of the trial under way
               trials.json        the trials that are over
               best-<n>.npz       the weights of the best of them

And in a folder of this machine, the same one where the registry is on its disks: model/, which will be published, and
logs/ for TensorBoard, which stay. Whoever works on a run holds a lock there, which ends with the process.
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
from contracts.record import Trial
from registry.errors import Missing
from registry.store import Store
from training.state import State, Weights

_RUN = "run.json"
_TRIALS = "trials.json"
_LOCK = ".lock"
# Saving may take this share of the time, or it waits for a later epoch.
_COST = 0.05


class Checkpoints:
    """Those of one run, which this process holds."""

    def __init__(self, store: Store, parent: Path, version: int, key: str) -> None:
        """Begins, or takes over what is there. `parent` holds the folders of all runs.

        Raises:
            Conflict: another process of this machine works on the run.
        """
        self.version, self.folder = version, parent / str(version)
        self._store = store
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Conflict(
                f"The same training is under way already, as version {version}; wait for it, or change the seed."
            ) from None
        if _key(store, version) != key:
            self._write(_RUN, json.dumps({"key": key}).encode())
        self._saved, self._cost = -1e9, 0.0

    @classmethod
    def resumed(cls, store: Store, parent: Path, versions: Iterable[int], key: str) -> "Checkpoints | None":
        """The run with this key among those of `versions`, if one was interrupted."""
        found = (version for version in versions if _key(store, version) == key)
        return next((cls(store, parent, version, key) for version in found), None)

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def state(self, trial: int) -> State | None:
        """Where a trial was left, or None where it was not begun (or can't be read: then it begins anew)."""
        try:
            return State.from_bytes(self._read(f"trial-{trial}.npz"))
        except (Missing, ValueError):
            return None

    def save(self, trial: int, state: State, urgent: bool) -> None:
        """Writes the state of a trial; without urgency only if that takes little of the time."""
        if not urgent and time.monotonic() - self._saved < self._cost / _COST:
            return
        started = time.monotonic()
        self._write(f"trial-{trial}.npz", state.to_bytes())
        self._saved = time.monotonic()
        self._cost = self._saved - started

    def trials(self) -> list[Trial]:
        try:
            return [Trial.model_validate(trial) for trial in json.loads(self._read(_TRIALS))]
        except Missing:
            return []

    def finish(self, trials: list[Trial], best: Weights | None) -> None:
        """Writes how all trials so far ended, and the weights of the last one if it is the best."""
        number = trials[-1].number
        if best is not None:
            buffer = io.BytesIO()
            np.savez(buffer, *best)
            self._write(f"best-{number}.npz", buffer.getvalue())
        self._write(_TRIALS, json.dumps([trial.model_dump(mode="json") for trial in trials]).encode())
        self._saved = -1e9
        stale = {f"trial-{number}.npz"}
        if best is not None:
            stale |= {name for name in self._names() if name.startswith("best-") and name != f"best-{number}.npz"}
        self._delete(stale)

    def best(self, number: int) -> Weights:
        with np.load(io.BytesIO(self._read(f"best-{number}.npz")), allow_pickle=False) as arrays:
            return [arrays[f"arr_{i}"] for i in range(len(arrays.files))]

    def clear(self) -> None:
        """Removes everything but the logs: the run is over."""
        self._delete({_RUN})
        self._delete(self._names())
        for entry in self.folder.iterdir():
            if entry.is_dir() and entry != self.logs:
                shutil.rmtree(entry)
        (self.folder / _LOCK).unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._lock)

    def _read(self, name: str) -> bytes:
        return self._store.read(_place(self.version, name))[0]

    def _write(self, name: str, data: bytes) -> None:
        self._store.write(_place(self.version, name), data)

    def _delete(self, names: set[str]) -> None:
        for name in names & self._names():
            self._store.delete(_place(self.version, name))

    def _names(self) -> set[str]:
        keys = self._store.list(f"runs/{self.version}")
        return {key.split("/")[-1] for key in keys if not key.endswith("/")}


def _place(version: int, name: str) -> str:
    return f"runs/{version}/{name}"


def _key(store: Store, version: int) -> str | None:
    try:
        return str(json.loads(store.read(_place(version, _RUN))[0])["key"])
    except (Missing, ValueError, KeyError, TypeError):
        return None
