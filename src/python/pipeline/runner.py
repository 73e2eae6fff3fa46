"""Carries out a run step by step, keeps a log of each, and goes on where a killed run stopped."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cli import Conflict, Exit, InfrastructureError, UsageError
from contracts.run import RunState, StepResult
from pipeline import machine, process
from pipeline.process import said
from pipeline.step import Step

__all__ = ["Run", "said"]

RESUME = "`./pants run src/python/pipeline -- runs resume {key}`"


class Run:
    """One run: its folder holds `run.json` and a log per step.

    `key` names what is run on (model, commit, dataset, pipeline). A run of the same key that did not end is continued
    from its first unfinished step, and so is one that infrastructure ended; with `reopen`, any. What `details` hold is
    then of the latest try. `say` hears what goes on.
    """

    def __init__(
        self, folder: Path, key: str, details: Mapping[str, Any], say: Callable[[str], None], reopen: bool = False
    ) -> None:
        self.folder, self.say = folder / key, say
        self._file = self.folder / "run.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Held as long as this process lives; the kernel frees it on a kill.
            self._lock = os.open(self.folder, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            earlier = self._earlier(reopen)
            begun = {"started": earlier.started, "steps": earlier.steps} if earlier else {"started": _now()}
            kept = earlier.model_dump() if earlier else {}
            self.state = RunState.model_validate(
                {**kept, **details, **begun, "key": key, "ended": None, "exit_code": None}
            )
            self._save()
        except BlockingIOError:
            raise Conflict(f"The same run is under way in {self.folder}; wait for it to end.") from None
        except OSError as error:
            raise InfrastructureError(f"Runs can't be written to {self.folder}: {error.strerror}.") from None

    @property
    def key(self) -> str:
        return self.folder.name

    def step(self, step: Step, shared: bool = True) -> StepResult:
        """Runs `step` unless an earlier try of this run finished it; returns its entry in run.json.

        `shared` tells that it runs on this machine, beside steps of other runs.
        """
        done = self.state.step(step.name)
        if done and done.exit_code == Exit.OK:
            self.say(f"{step.name}: done in an earlier run")
            return done
        self.state.steps = [entry for entry in self.state.steps if entry.name != step.name]
        log = self.folder / f"{step.name}.log"
        log.unlink(missing_ok=True)
        self.say(f"{step.name} (log: {log})")
        if shared:
            with machine.place(self.folder.parent, step.alone):
                entry = self._carry_out(step, log)
        else:
            entry = self._carry_out(step, log)
        self.state.steps.append(entry)
        self._save()
        return entry

    def _carry_out(self, step: Step, log: Path) -> StepResult:
        started, clock = _now(), time.monotonic()
        try:
            exit_code, result = process.carry_out(step, log, self.say)
        except (InfrastructureError, OSError) as error:
            # run.json must tell of a step that could not even start, or nobody can say later how the run ended.
            why = (
                error
                if isinstance(error, InfrastructureError)
                else f"{step.argv[0]} can't be started: {error.strerror}."
            )
            log.write_text(f"error: {why}\n", "utf-8")
            exit_code, result = int(Exit.INFRASTRUCTURE), None
        seconds = round(time.monotonic() - clock, 2)
        ended = "done" if exit_code == Exit.OK else f"ended with {exit_code}"
        self.say(f"{step.name}: {ended} after {seconds:.0f} s")
        return StepResult(
            name=step.name,
            argv=step.argv,
            started=started,
            ended=_now(),
            seconds=seconds,
            exit_code=exit_code,
            log=str(log),
            result=result,
        )

    def entry(self, name: str) -> StepResult:
        """What run.json says of step `name`, which an earlier call carried out.

        Raises:
            UsageError: none did.
        """
        if found := self.state.step(name):
            return found
        raise UsageError(f"Step {name} comes first, and was not carried out in {self.folder}; call it (--only {name}).")

    def failure_of(self, entry: StepResult, step: Step | None = None) -> str:
        """What to tell of a step that failed, and how to go on where a retry may help."""
        log = Path(entry.log)
        told = process.explained(step, log) if step else said(log)
        hint = ""
        if entry.exit_code == Exit.INFRASTRUCTURE:
            epoch = process.epoch_of(log)
            hint = f" {RESUME.format(key=self.key)} resumes it" + (f" from epoch {epoch}." if epoch else ".")
        return f"Step {entry.name} failed: {told}{hint} (log: {entry.log})"

    def leave(self) -> None:
        """Leaves the run as it is, for a later call to go on with."""
        self._save()
        os.close(self._lock)

    def end(self, exit_code: int) -> None:
        """Marks the run as ended; the next one of its key starts afresh."""
        self.state.ended, self.state.exit_code = _now(), exit_code
        self.leave()

    def _earlier(self, reopen: bool) -> RunState | None:
        try:
            state = RunState.model_validate_json(self._file.read_text("utf-8"))
        except (OSError, ValidationError):
            return None
        # What infrastructure broke is not done twice: an earlier step may have trained for hours.
        cut_off = state.ended is None or state.exit_code == Exit.INFRASTRUCTURE
        return state if reopen or cut_off else None

    def _save(self) -> None:
        # Renamed into place: a kill leaves the old file or the new one.
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(self.state.model_dump(mode="json"), indent=1) + "\n", "utf-8")
        os.replace(draft, self._file)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
