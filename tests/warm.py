"""Our programs as processes of their own, but for the import of TensorFlow, which one process does for all of them.

That process is forked: what comes of it has a number, signals, streams and an exit code as any program has.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.warm_imports"])
_PATH = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)


class Program:
    """`python -m module arguments…`, from its start on.

    `environment` is all that it gets; `before` is called in it first, and must be a function of a module.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] = os.environ,
        before: Callable[[], None] | None = None,
    ) -> None:
        self.command = [module, *arguments]
        self._folder = tempfile.TemporaryDirectory(prefix="trainyard-warm-")
        told = {**environment, "PYTHONPATH": _PATH}
        self._process = _FORKS.Process(  # type: ignore[attr-defined]
            target=_run, args=(self.command, told, os.getcwd(), self._folder.name, before)
        )
        with _as_told_to_forks():
            self._process.start()

    def ended(self, timeout: float) -> "subprocess.CompletedProcess[str]":
        """How it ended; it is killed if that takes longer than `timeout` seconds.

        Raises:
            subprocess.TimeoutExpired: it did.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        self.kill()
        out, err = ((Path(self._folder.name) / name).read_text() for name in ("out", "err"))
        if code is None:
            raise subprocess.TimeoutExpired(self.command, timeout, out, err)
        return subprocess.CompletedProcess(self.command, code, out, err)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _run(
    command: list[str], environment: dict[str, str], cwd: str, folder: str, before: Callable[[], None] | None
) -> None:
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = list(command)
    if before:
        before()
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        # multiprocessing leaves out what a program does at its end.
        atexit._run_exitfuncs()


@contextmanager
def _as_told_to_forks() -> Iterator[None]:
    """The first starts the process that is forked, which needs our import path; none is to import our main program."""
    main, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = _PATH
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        del os.environ["PYTHONPATH"]
        if path is not None:
            os.environ["PYTHONPATH"] = path
