"""Model servers as processes of their own, but for the import of TensorFlow: see tests.forks.

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

forks.imports("tests.warm_server_imports")
_MODULE = "serving.model_server"
_Popen = subprocess.Popen


def popen(command: Sequence[str], *arguments: Any, **options: Any) -> Any:
    """As `subprocess.Popen`, but a model server is forked."""
    if list(command[:3]) == [sys.executable, "-m", _MODULE]:
        return _server(command[3:], **options)
    return _Popen(command, *arguments, **options)


@contextmanager
def forked() -> Iterator[None]:
    """Model servers that are started within, by whatever code, are forked."""
    with mock.patch.object(subprocess, "Popen", popen):
        yield


def _server(
    flags: Sequence[str],
    *,
    stdout: IO[bytes],
    stderr: IO[bytes],
    env: Mapping[str, str] = os.environ,
    stdin: int | None = None,
    process_group: int | None = None,
) -> forks.Program:
    """Its output is appended to the files' ends, whoever else writes there."""
    group = None if process_group is None else partial(os.setpgid, 0, process_group)
    return forks.Program(_MODULE, *flags, environment=env, before=group, output=(str(stdout.name), str(stderr.name)))
