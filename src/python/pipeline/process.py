"""Runs a step's command: everything it says goes to its log, how far it is to the console, its result to the caller."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cli import Exit, InfrastructureError
from pipeline.children import end_with_parent
from pipeline.machine import memory_mib
from pipeline.step import Container, Step

Say = Callable[[str], None]
# Seconds a step has to leave cleanly when the run is stopped.
_GRACE = 30
# Seconds between two lines about how far a step is.
_EVERY = 15.0
_LOOK = 1.0
# What cli.progress writes where there is no terminal: "Training: 22/60 loss 0.700 (41 s left)".
_PROGRESS = re.compile(r"^(?P<what>[A-Z][^:\r\n]{0,60}): (?P<done>\d+)/(?P<total>\d+)(?P<detail>.*)$")
_TRAINING = re.compile(r"^Training[^:\n]*: (\d+)/\d+", re.MULTILINE)


class Stopped(BaseException):
    """The run is being stopped, so this step was."""


class Processes:
    """The processes of steps that run now, in whichever thread; a run that is stopped ends them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[subprocess.Popen[bytes], Step] = {}
        self.stopping = False

    def stop(self) -> None:
        with self._lock:
            self.stopping = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    process.terminate()

    def end_unwanted(self) -> None:
        """Ends those whose result nobody wants any more; what they keep of their work is theirs to decide."""
        with self._lock:
            for process, step in self._running.items():
                if _unwanted(step):
                    with suppress(ProcessLookupError):
                        process.terminate()

    @contextmanager
    def started(self, step: Step, stderr: int) -> Iterator[subprocess.Popen[bytes]]:
        """The step's process; on the way out it has ended, one way or another.

        Raises:
            InfrastructureError: nobody wants its result any more.
        """
        with self._lock:
            if self.stopping:
                raise Stopped
            if _unwanted(step):
                raise InfrastructureError("It was not begun: what it was for has failed meanwhile.")
            process = subprocess.Popen(
                step.argv, stdout=subprocess.PIPE, stderr=stderr, env=step.environment, preexec_fn=end_with_parent
            )
            self._running[process] = step
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_GRACE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            with self._lock:
                self._running.pop(process, None)
        if self.stopping:
            raise Stopped


def _unwanted(step: Step) -> bool:
    return step.unwanted is not None and step.unwanted.is_set()


PROCESSES = Processes()


def carry_out(step: Step, log: Path, say: Say) -> tuple[int, Any]:
    """The exit code of `step` and the last line of its output that is JSON; `say` hears how far it is.

    One that a signal ended has failed by the machine's fault, not its own.

    Raises:
        InfrastructureError: it could not be started where it has to run.
        Stopped: the run is being stopped.
    """
    exit_code, last, why = _in_container(step, step.container, log, say) if step.container else _run(step, log, say)
    if (number := signal_of(exit_code)) and not step.container:
        exit_code, why = Exit.INFRASTRUCTURE, _killed(number, memory_mib())
    if why:
        with log.open("a", encoding="utf-8") as lines:
            lines.write(f"error: {why}\n")
    return exit_code, _json_or_none(last)


def signal_of(exit_code: int) -> int | None:
    """The signal that ended a process: told by the kernel (-9), by a shell (137), or by Pants' own process (247)."""
    for number in (-exit_code, exit_code - 128, 256 - exit_code):
        if 0 < number < 64 and number in set(signal.Signals):
            return number
    return None


def said(log: Path) -> str:
    """What a step says of its end: its error if it names one, else its last line."""
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["It said nothing."])[-1]


def explained(step: Step, log: Path) -> str:
    """`said`, or what the step knows better to make of its output."""
    explanation = step.explains(log.read_text("utf-8", "replace")) if step.explains and log.exists() else ""
    return explanation or said(log)


def epoch_of(log: Path) -> int | None:
    """The epoch up to which the training that `log` tells of has come."""
    found = _TRAINING.findall(log.read_text("utf-8", "replace"))
    return int(found[-1]) if found else None


def _killed(number: int, mib: int) -> str:
    cause = f"; out of memory is its usual cause ({mib} MiB were there)" if number == signal.SIGKILL else ""
    return f"It was killed by signal {number}{cause}."


def _run(step: Step, log: Path, say: Say) -> tuple[int, str, str]:
    last = b""
    with log.open("wb") as stderr, _followed(step, log, say), PROCESSES.started(step, stderr.fileno()) as process:
        assert process.stdout
        for line in process.stdout:
            os.write(stderr.fileno(), line)
            # In a cluster's log, what a program says on stderr may follow its result.
            last = line if line[:1] in b"{[" and _json_or_none(line) is not None else last
        exit_code = process.wait()
    return exit_code, last.decode("utf-8", "replace").strip(), ""


def _in_container(step: Step, container: Container, log: Path, say: Say) -> tuple[int, str, str]:
    container.prepare()
    exit_code, last, why = 128 + signal.SIGKILL, "", ""
    try:
        exit_code, last, _ = _run(step, log, say)
    finally:
        # However the run ends, nothing is left behind.
        exit_code, why = container.conclude(exit_code)
    return exit_code, last, why


@contextmanager
def _followed(step: Step, log: Path, say: Say) -> Iterator[None]:
    """Within it, the console is told from time to time how far the step is, by what is new in its log."""
    ended = threading.Event()
    thread = threading.Thread(target=_follow, args=(step, log, say, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _follow(step: Step, log: Path, say: Say, ended: threading.Event) -> None:
    units, told, news, at = 0, "", "", time.monotonic()
    rest = ""
    with log.open(encoding="utf-8", errors="replace") as lines:
        while not ended.wait(_LOOK):
            text = rest + lines.read()
            *whole, rest = re.split(r"[\r\n]", text)
            for line in whole:
                units += step.counts(line) if step.counts else 0
                if found := _PROGRESS.match(line):
                    news = f"{found['what']}: {found['done']}/{found['total']}{found['detail']}"
            if step.units:
                news = f"{units} of {step.units} done"
            if news and news != told and time.monotonic() - at >= _EVERY:
                say(f"{step.name}: {news}")
                told, at = news, time.monotonic()


def _json_or_none(line: str | bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
