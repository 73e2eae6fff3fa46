"""Model tests are other people's programs: one may end its process, by os._exit() or a crash, as if all were well.

So the command does its work in a child process, and a parent that runs no test sees how that ended.
"""

import atexit
import ctypes
import json
import mmap
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cli import InfrastructureError
from contracts.verdict import Fault

_ROOM = 4096  # bytes that tell what the child is at
_HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_ENDED = "ended"


@dataclass(frozen=True)
class Died:
    """How the child ended that did not come to its end."""

    version: int
    # The test that ran, or the file that was loaded; empty where none was.
    file: str
    name: str
    # The child's exit code, or minus the number of the signal.
    code: int

    def fault(self) -> Fault:
        """
        Raises:
            InfrastructureError: it was nothing that a test did.
        """
        how = f"with exit code {self.code}" if self.code >= 0 else f"by {signal.Signals(-self.code).name}"
        if self.code == -signal.SIGKILL or not self.file:
            at = f" while {self.file}{'::' + self.name if self.name else ''} ran" if self.file else ""
            why = "; too little memory is the usual cause" if self.code == -signal.SIGKILL else ""
            raise InfrastructureError(
                f"The program that tests version {self.version} was ended {how}{at}{why}. The version stays as it was; "
                "test it again."
            )
        return Fault(file=self.file, name=self.name, error=f"it ended the program that runs the tests, {how}")


_told: mmap.mmap | None = None
_died: Died | None = None


def begin() -> None:
    """Goes on in a child process. In this one it returns only where that died, which `died` tells from then on;
    otherwise it leaves with the child's exit code."""
    global _told, _died
    _told = mmap.mmap(-1, _ROOM)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    parent = os.getpid()
    # One that comes before both know what to do with it waits.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDED_ON)
    child = os.fork()
    if not child:
        _settle(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    for number in _HANDED_ON:
        # Some are ignored, under nohup for one, and so by the child.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: _send(child, number))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = _heard()
    if said.get(_ENDED):
        sys.exit(code if code >= 0 else 128 - code)
    _told = None
    _died = Died(said.get("version", 0), said.get("file", ""), said.get("name", ""), code)
    for number in _HANDED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def died() -> Died | None:
    """How the child died whose place this process takes, to tell of it; else None."""
    return _died


def tell(**said: Any) -> None:
    """Notes what this process is at, for the one outside; `said` are fields of Died, and hold until told anew."""
    if _told is None:
        return
    text = json.dumps({**_heard(), **said}).encode()
    if len(text) < _ROOM:
        _told[:] = text.ljust(_ROOM, b"\0")


def _heard() -> dict[str, Any]:
    assert _told is not None
    text = _told[:].rstrip(b"\0")
    return json.loads(text) if text else {}


def _settle(parent: int) -> None:
    """The child's first steps."""
    # Signals come to it from its parent alone, and so once: a terminal sends them to a whole group.
    os.setpgid(0, 0)
    for number in (signal.SIGTTIN, signal.SIGTTOU):  # being in the terminal's background must not stop it
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)
    own = os.getpid()
    # Last of all that is done at its end. What a test forks may end so too.
    atexit.register(lambda: tell(**{_ENDED: True}) if os.getpid() == own else None)


def _send(child: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)
