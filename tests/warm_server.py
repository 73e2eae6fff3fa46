"""Model servers and adapters as processes of their own, but for what takes long to import: see tests.forks.

How a server starts by itself is tested where that is the point: test_options.py, test_wheel.py, tests/docker.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO, Any
from unittest import mock

from tests import forks

# And where they are, as nothing asks for them to be there: what starts such servers, and what is started beside them.
_BESIDE = ("serving.adapter.lifecycle", "testing.choice", "testing.closing", "testing.limits", "testing.verdict")
forks.imports("tests.warm_server_imports", *_BESIDE)
_MODULES = ("serving.model_server", "serving.adapter")


class Popen(subprocess.Popen[Any]):
    """As `subprocess.Popen`, but a model server or an adapter is forked."""

    def __new__(cls, command: Sequence[str], *arguments: Any, **options: Any) -> Any:
        if list(command[:2]) == [sys.executable, "-m"] and command[2] in _MODULES:
            return _server(command[2:], **options)
        return super().__new__(cls)


@contextmanager
def forked() -> Iterator[None]:
    """Servers that are started within, by whatever code, are forked."""
    with mock.patch.object(subprocess, "Popen", Popen):
        yield


def within() -> None:
    """`before` of a Program whose servers are forked too, from the server that it comes from itself."""
    forks.reuse()
    subprocess.Popen = Popen  # type: ignore[misc]


def _server(
    command: Sequence[str],
    *,
    stdout: IO[bytes],
    stderr: IO[bytes],
    env: Mapping[str, str] = os.environ,
    stdin: int | None = None,
    process_group: int | None = None,
) -> forks.Program:
    """Its output is appended to the files' ends, whoever else writes there."""
    group = None if process_group is None else partial(os.setpgid, 0, process_group)
    return forks.Program(*command, environment=env, before=group, output=(str(stdout.name), str(stderr.name)))
