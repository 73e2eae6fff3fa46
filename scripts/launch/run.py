"""Starts Pants and stays with it: signals reach the program of a `./pants run`, which Pants would keep them from.

Pants starts a program in a session of its own, as a child of its daemon where there is one. SIGTERM ends Pants' client
alone, or not even that; SIGINT leaves the program a few seconds. So both go to the program itself from here, and Pants
ends with the program's exit code. Called as `run.py PANTS… -- WORDS…` in the root of the checkout; with `--leave`
first, Pants only builds the program, whose process this one then becomes: a server would hold Pants' daemon for hours.
"""

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from beside import notes
from processes import processes
from programs import HELP, arranged

# In the environment of everything that this call starts.
_CALL = "TRAINYARD_CALL"
# Asked of a program's own interpreter: its virtual environment, which stays, and the file that it was made of.
_WHERE = "import os, sys; print(sys.prefix, os.environ['PEX'], sep='\\n')"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Seconds that what a program leaves behind may go on before it is told to end, and then before it is killed. It has to
# end: as long as it holds the program's output, Pants waits for more of it.
_LEFT_ALONE, _TOLD = 3.0, 30.0
_LOOK_EVERY = 0.5


def main(words: list[str]) -> int:
    leave = words[0] == "--leave"
    words = words[leave:]
    split = words.index("--")
    arguments = arranged(words[split + 1 :])
    named = arguments.index("--") if "--" in arguments else len(arguments)
    leave = leave and HELP.isdisjoint(arguments[:named])  # Pants' own
    with contextlib.suppress(OSError):
        for note in notes():
            sys.stderr.write(f"{note}\n")
    # With the checkout as ./pants calls it.
    environment = {**os.environ, _CALL: f"{os.getpid()}:{os.environ['PWD']}"}
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # Some are ignored under nohup, or in the background of a script.
    caught = {
        signal.SIGCHLD,
        signal.SIGALRM,
        *(number for number in asked if signal.getsignal(number) is not signal.SIG_IGN),
    }
    signal.signal(signal.SIGCHLD, lambda *_: None)  # some systems drop a signal that nobody handles
    signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    mark = f"{_CALL}={environment[_CALL]}"
    if not leave:
        return _attend(_start([*words[:split], *arguments], environment, caught), mark, caught)
    ask = [*words[:split], *arguments[:named], "--", "-c", _WHERE]
    with tempfile.TemporaryFile() as answer:
        client = _start(ask, {**environment, "PEX_INTERPRETER": "1"}, caught, answer.fileno())
        if code := _attend(client, mark, caught):
            return code
        answer.seek(0)
        place, pex = answer.read().decode().splitlines()[-2:]
    _become(Path(place, "pex"), arguments[named + 1 :], {**os.environ, "PEX": pex}, caught)


def _become(program: Path, arguments: list[str], environment: dict[str, str], caught: set[signal.Signals]) -> NoReturn:
    for calls in Path(".pants.d").glob("calls*"):  # as ./pants notes them
        (calls / str(os.getpid())).unlink(missing_ok=True)  # others need not wait for this one any more
    for number in caught:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)
    os.execve(program, [str(program), *arguments], environment)


def _start(argv: list[str], environment: dict[str, str], caught: set[signal.Signals], output: int | None = None) -> int:
    """Pants as a process in a group of its own: what a terminal sends reaches it from here alone."""
    launcher = os.getpid()
    if client := os.fork():
        return client
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
        for number in (signal.SIGTTIN, signal.SIGTTOU):  # being in the terminal's background must not stop it
            signal.signal(number, signal.SIG_IGN)
        if sys.platform == "linux":
            import ctypes

            # This process may be killed outright: then Pants is interrupted, and with it the program.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != launcher:
                os._exit(128 + signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)
        if output is not None:
            os.dup2(output, 1)
        os.execvpe(argv[0], argv, environment)
    os.write(2, f"error: {argv[0]} can't be started; correct PANTS_BIN.\n".encode())
    os._exit(2)


def _attend(client: int, mark: str, caught: set[signal.Signals]) -> int:
    """Hands signals on until Pants has ended; returns the exit code."""
    received: list[int] = []
    left_behind = _LeftBehind(mark, client)
    while True:
        number = signal.sigwait(caught)
        if number not in (signal.SIGCHLD, signal.SIGALRM):
            received.append(number)
            _hand_on(received, client, mark)
            signal.setitimer(signal.ITIMER_REAL, _LOOK_EVERY, _LOOK_EVERY)
        elif received:
            left_behind.end()
        ended, status = os.waitpid(client, os.WNOHANG)
        if ended:
            break
    code = os.waitstatus_to_exitcode(status)
    while (received or code < 0) and left_behind.end(program_too=True):
        time.sleep(_LOOK_EVERY)
    if code < 0:
        return 128 - code
    # Pants answers 1 where it was told to end before there was a program.
    return 128 + received[0] if received and code == 1 else code


def _hand_on(received: list[int], client: int, mark: str) -> None:
    programs = [process for process in processes(mark, client) if process.is_program]
    for program in programs:
        if received[-1] == signal.SIGINT:
            _send(signal.SIGINT, program.pid, os.killpg)  # to all of the group, as a terminal does
        else:
            _send(signal.SIGTERM, program.pid)
    # Pants is interrupted at any time; a program that it finds then, it kills soon after.
    if not programs or received.count(signal.SIGINT) > 2:
        _send(signal.SIGINT, client)


class _LeftBehind:
    """What goes on after the program has ended."""

    def __init__(self, mark: str, client: int) -> None:
        self._mark, self._client = mark, client
        self._since: float | None = None
        self._told: set[int] = set()

    def end(self, program_too: bool = False) -> bool:
        """Does what is due, and tells whether anything is left."""
        left = processes(self._mark, self._client)
        if any(process.is_program for process in left) and not program_too:
            return True
        self._since = self._since or time.monotonic()
        seconds = time.monotonic() - self._since
        for process in left:
            if seconds > _LEFT_ALONE + _TOLD:
                _send(signal.SIGKILL, process.pid)
            elif seconds > _LEFT_ALONE and process.pid not in self._told:
                self._told.add(process.pid)
                _send(signal.SIGTERM, process.pid)
        return bool(left)


def _send(number: int, pid: int, send: Callable[[int, int], None] = os.kill) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        send(pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
