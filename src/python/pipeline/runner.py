"""Carries out a plan step by step, keeps a log of each, and goes on where a killed run stopped."""

import fcntl
import json
import os
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import Conflict, Exit, InfrastructureError, UsageError
from pipeline.children import end_with_parent
from pipeline.steps import Container, Step

# Seconds a step has to leave cleanly when the run is stopped.
_GRACE = 30


class Run:
    """One run: its folder holds `run.json` and a log per step.

    `key` names what is run on (commit, dataset, pipeline). A run of the same key that did not end is continued from
    its first unfinished step, and so is one that infrastructure ended; with `reopen`, any that failed. What `details`
    hold is then of the latest try.
    """

    def __init__(self, folder: Path, key: str, details: dict[str, Any], console: Console, reopen: bool = False) -> None:
        self.folder = folder / key
        self.console = console
        self._file = self.folder / "run.json"
        fresh = {"key": key, **details, "started": _now(), "ended": None, "exit_code": None, "steps": []}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Held as long as this process lives; the kernel frees it on a kill.
            self._lock = os.open(self.folder, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            earlier = self._earlier(reopen)
            self.state: dict[str, Any] = earlier | details | {"ended": None, "exit_code": None} if earlier else fresh
            self._save()
        except BlockingIOError:
            raise Conflict(f"The same run is under way in {self.folder}; wait for it to end.") from None
        except OSError as error:
            raise InfrastructureError(f"Runs can't be kept in {self.folder}: {error.strerror}.") from None

    def step(self, step: Step) -> dict[str, Any]:
        """Runs `step` unless an earlier try of this run finished it; returns its entry in run.json.

        The entry holds the exit code and, under "result", the last line of its output that is JSON.
        """
        for done in self.state["steps"]:
            if done["name"] == step.name and done["exit_code"] == Exit.OK:
                self.console.print(f"[dim]{step.name}: done in an earlier try[/dim]")
                return done
        self.state["steps"] = [entry for entry in self.state["steps"] if entry["name"] != step.name]
        log = self.folder / f"{step.name}.log"
        self.console.print(f"[bold]{step.name}[/bold] (log: {log})", soft_wrap=True)
        started, clock = _now(), time.monotonic()
        try:
            exit_code, last_line = _run_in_container(step, step.container, log) if step.container else _run(step, log)
        except InfrastructureError as error:
            # run.json must tell of a step that could not even start, or nobody can say later how the run ended.
            log.write_text(f"error: {error}\n", "utf-8")
            exit_code, last_line = int(error.exit_code), ""
        entry = {
            "name": step.name,
            "argv": step.argv,
            "started": started,
            "ended": _now(),
            "seconds": round(time.monotonic() - clock, 2),
            "exit_code": exit_code,
            "log": str(log),
            "result": _json_or_none(last_line),
        }
        self.state["steps"].append(entry)
        self._save()
        return entry

    def entry(self, name: str) -> dict[str, Any]:
        """What run.json says of step `name`, which an earlier call carried out.

        Raises:
            UsageError: none did.
        """
        for entry in self.state["steps"]:
            if entry["name"] == name:
                return entry
        raise UsageError(f"Step {name} comes first, and was not carried out in {self.folder}; call it (--only {name}).")

    def leave(self) -> None:
        """Leaves the run as it is, for a later call to go on with."""
        os.close(self._lock)

    def end(self, exit_code: int) -> None:
        """Marks the run as ended; the next one of its key starts afresh."""
        self.state |= {"ended": _now(), "exit_code": exit_code}
        self._save()
        self.leave()

    def _earlier(self, reopen: bool) -> dict[str, Any] | None:
        try:
            state = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(state, dict) or "steps" not in state:
            return None
        # What infrastructure broke is not done twice: an earlier step may have trained for hours.
        cut_off = state.get("ended") is None or state.get("exit_code") == Exit.INFRASTRUCTURE
        return state if reopen or cut_off else None

    def _save(self) -> None:
        # Renamed into place: a kill leaves the old file or the new one.
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(self.state, indent=1) + "\n", "utf-8")
        os.replace(draft, self._file)


def _run(step: Step, log: Path) -> tuple[int, str]:
    """The exit code of `step` and the last JSON it wrote to stdout; everything it says goes to `log` as it comes."""
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            step.argv, stdout=subprocess.PIPE, stderr=stderr, env=step.environment, preexec_fn=end_with_parent
        )
        last = b""
        try:
            assert process.stdout
            for line in process.stdout:
                os.write(stderr.fileno(), line)
                # In a cluster's log, what a program says on stderr may follow its result.
                last = line if line[:1] in b"{[" and _json_or_none(line) is not None else last
            return process.wait(), last.decode("utf-8", "replace").strip()
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_GRACE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _run_in_container(step: Step, container: Container, log: Path) -> tuple[int, str]:
    container.prepare()
    exit_code, last_line = 128 + signal.SIGKILL, ""
    try:
        exit_code, last_line = _run(step, log)
    finally:
        # However the run ends, nothing is left behind.
        exit_code, why = container.conclude(exit_code)
    if why:
        with log.open("a", encoding="utf-8") as lines:
            lines.write(f"error: {why}\n")
    return exit_code, last_line


def said(log: Path) -> str:
    """What a step says of its end: its error if it names one, else its last line."""
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["It said nothing."])[-1]


def _json_or_none(line: str | bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
