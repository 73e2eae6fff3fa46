"""Our programs as processes that are forked from one which has imported for all of them what takes long.

What comes of it has a number, signals, streams and an exit code as any program has. A test process has one such server,
so one part of the tests has one list of imports.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import types
import weakref
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from pathlib import Path

PATH = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
_FORKS = multiprocessing.get_context("forkserver")
_starting = threading.Lock()
_programs: "weakref.WeakSet[Program]" = weakref.WeakSet()


@atexit.register
def _leave() -> None:
    """multiprocessing would wait for those that a failed test has left."""
    for program in list(_programs):
        program.kill()


def imports(*modules: str) -> None:
    """What the server imports when it starts, with the first program."""
    _FORKS.set_forkserver_preload(list(modules))


def reuse() -> None:
    """Lets a program, which is forked, have others forked from the server that it comes from itself."""
    # It knows the server's address; to look whether the server runs, it would have to be the server's parent.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]


class Program:
    """`python -m module arguments…`, from its start on; with what of `subprocess.Popen` tests ask for.

    `environment` is all that it gets; `before` is called in it first, and must be a function of a module. What it
    writes goes to the two files `output`, or is told by `communicate`.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] = os.environ,
        folder: Path | None = None,
        before: Callable[[], None] | None = None,
        output: tuple[str, str] | None = None,
    ) -> None:
        self.command = [module, *arguments]
        self._folder = tempfile.TemporaryDirectory(prefix="trainyard-forked-")
        self._output = output or (f"{self._folder.name}/out", f"{self._folder.name}/err")
        for name in self._output:
            Path(name).touch()
        told = {**environment, "PYTHONPATH": PATH}
        self._process = _FORKS.Process(
            target=_run, args=(self.command, told, str(folder or Path.cwd()), self._output, before)
        )
        with _starting:
            self._start()
        assert self._process.pid
        self.pid = self._process.pid
        _programs.add(self)

    def _start(self) -> None:
        # The first starts the server, which needs our import path; no program is to import our main program.
        main, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")
        path = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = PATH
        try:
            self._process.start()
        finally:
            sys.modules["__main__"] = main
            del os.environ["PYTHONPATH"]
            if path is not None:
                os.environ["PYTHONPATH"] = path

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended after `timeout` seconds.
        """
        self._process.join(timeout)
        if (code := self.returncode) is None:
            raise subprocess.TimeoutExpired(self.command, timeout or 0, *self.said())
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has written, once it has ended; raises as `wait` does."""
        self.wait(timeout)
        return self.said()

    def ended(self, timeout: float) -> "subprocess.CompletedProcess[str]":
        """How it ended; it is killed if that takes over `timeout` seconds, and this raises as `wait` does."""
        try:
            code = self.wait(timeout)
        finally:
            self.kill()
        return subprocess.CompletedProcess(self.command, code, *self.said())

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def said(self) -> tuple[str, str]:
        """What it has written so far."""
        out, err = (Path(name).read_text("utf-8", "replace") for name in self._output)
        return out, err


def _run(
    command: list[str],
    environment: dict[str, str],
    folder: str,
    output: tuple[str, str],
    before: Callable[[], None] | None,
) -> None:
    for number, name in enumerate(output, 1):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = list(command)
    if before:
        before()
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        # multiprocessing leaves out what a program does at its end.
        atexit._run_exitfuncs()
