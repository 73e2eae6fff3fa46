"""Polls a branch and does for each of its commits what a build server would, one run at a time."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from cli import Conflict, Exit, InfrastructureError
from pipeline.children import end_with_parent
from pipeline.pants import fresh_environment
from pipeline.remote import Branch, Unreachable

# Ends after which the same commit is tried again: another try may end otherwise.
_PASSING = (Exit.INFRASTRUCTURE, Exit.CONFLICT)
_LONGEST_WAIT = 3600.0
# Seconds a run has to leave cleanly; its steps have 30 (pipeline.runner).
_GRACE = 45.0
_TICK = 0.2

# From the checkout and the last commit that went well ("" for none) to the command that carries a commit out.
Command = Callable[[Path, str], list[str]]


@dataclass(frozen=True)
class Memory:
    """What is known of a branch: kept in a file, so that the next watch goes on from it."""

    succeeded: str = ""
    failed: str = ""
    exit_code: int = 0
    tries: int = 0
    # Seconds since 1970.
    not_before: float = 0.0

    def asks_for(self, tip: str) -> bool:
        """Whether `tip` is to be carried out now."""
        if tip == self.failed:
            return may_pass(self.exit_code) and time.time() >= self.not_before
        return tip != self.succeeded

    def after(self, tip: str, exit_code: int, interval: float) -> "Memory":
        """What is known once `tip` was carried out and ended with `exit_code`."""
        if exit_code == Exit.OK:
            return Memory(succeeded=tip)
        tries = self.tries + 1 if tip == self.failed else 1
        wait = min(interval * 2**tries, _LONGEST_WAIT)
        return replace(self, failed=tip, exit_code=exit_code, tries=tries, not_before=time.time() + wait)


def may_pass(exit_code: int) -> bool:
    # Negative: killed by a signal, as by a machine that runs out of memory.
    return exit_code in _PASSING or exit_code < 0


class Watch:
    """Watches one branch; `home` holds its lock, its memory and its checkout."""

    def __init__(
        self, home: Path, branch: Branch, command: Command, interval: float, say: Callable[[str], Any]
    ) -> None:
        self.branch, self.command, self.interval, self.say = branch, command, interval, say
        self.checkout = home / "checkout"
        self._memory_file = home / "memory.json"
        self._name = f"{branch.remote} {branch.branch}"
        self._unreachable = False
        self._stopped: int | None = None
        try:
            home.mkdir(parents=True, exist_ok=True)
            # Held as long as this process lives; the kernel frees it on a kill.
            self._lock = os.open(home, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"Another watch is running in {home}; end it first.") from None
        except OSError as error:
            raise InfrastructureError(f"The state of the watch can't be written to {home}: {error.strerror}.") from None

    def run(self) -> None:
        """Polls until a signal comes; then ends what is under way, and this process."""
        self._catch_signals()
        while True:
            self.turn()
            self._sleep()

    def once(self) -> int:
        """Polls once, and carries out at most one commit; the exit code is that of its run.

        Raises:
            Unreachable: the remote does not answer.
        """
        self._catch_signals()
        tip = self.branch.fetch()
        return self._carry_out(tip) if self._memory().asks_for(tip) else Exit.OK

    def turn(self) -> None:
        try:
            tip = self.branch.fetch()
        except Unreachable as error:
            if not self._unreachable:
                self.say(f"{error} It is tried again every {self.interval:g} seconds.")
            self._unreachable = True
            return
        if self._unreachable:
            self.say(f"{self.branch.remote} answers again.")
        self._unreachable = False
        if self._memory().asks_for(tip):
            self._carry_out(tip)

    def _carry_out(self, tip: str) -> int:
        memory = self._memory()
        self.say(f"{tip[:12]} on {self.branch.branch}, since {memory.succeeded[:12] or 'the beginning'}")
        try:
            self.branch.check_out(tip, self.checkout)
            exit_code = self._end_of(self.command(self.checkout, memory.succeeded))
        except InfrastructureError as error:
            self.say(str(error))
            exit_code = int(error.exit_code)
        except OSError as error:
            self.say(f"./pants of {tip[:12]} can't be started: {error.strerror}.")
            exit_code = int(Exit.USAGE)
        memory = memory.after(tip, exit_code, self.interval)
        self._remember(memory)
        again = f"; it is tried again in {memory.not_before - time.time():.0f} seconds" if may_pass(exit_code) else ""
        self.say(f"{tip[:12]} went well" if exit_code == Exit.OK else f"{tip[:12]} ended with {exit_code}{again}")
        return exit_code

    def _end_of(self, argv: list[str]) -> int:
        """The exit code of `argv`, started in the checkout; a signal to this process ends both."""
        child = subprocess.Popen(
            argv, cwd=self.checkout, env=fresh_environment(), start_new_session=True, preexec_fn=end_with_parent
        )
        deadline = None
        while child.poll() is None:
            if self._stopped and deadline is None:
                os.killpg(child.pid, signal.SIGTERM)
                deadline = time.monotonic() + _GRACE
            elif deadline and time.monotonic() > deadline:
                os.killpg(child.pid, signal.SIGKILL)
            try:
                child.wait(_TICK)
            except subprocess.TimeoutExpired:
                continue
        if self._stopped:
            # What it had started and did not end itself.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            self._leave_if_stopped()
        return child.returncode

    def _catch_signals(self) -> None:
        # A flag, not an exception: one raised between the start of a child and its name would leave it running.
        def stop(number: int, frame: FrameType | None) -> None:
            self._stopped = number

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)

    def _sleep(self) -> None:
        end = time.monotonic() + self.interval
        while (left := end - time.monotonic()) > 0:
            self._leave_if_stopped()
            time.sleep(min(_TICK, left))

    def _leave_if_stopped(self) -> None:
        if self._stopped:
            self.say("Stopped.")
            sys.exit(128 + self._stopped)

    def _memories(self) -> dict[str, object]:
        try:
            found = json.loads(self._memory_file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _memory(self) -> Memory:
        try:
            found = self._memories().get(self._name, {})
            return Memory(**found) if isinstance(found, dict) else Memory()
        except TypeError:
            # Without memory everything is done again, which is safe.
            return Memory()

    def _remember(self, memory: Memory) -> None:
        draft = self._memory_file.with_suffix(".new")
        draft.write_text(json.dumps(self._memories() | {self._name: asdict(memory)}, indent=1) + "\n", "utf-8")
        os.replace(draft, self._memory_file)
