"""Large bodies are read in processes of their own: a parser keeps the interpreter's lock, and every thread waiting."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Any

import grpc
import numpy as np

from serving.model_server import json_worker
from serving.model_server.callers import Places, while_waited_for
from serving.model_server.dtypes import Tensor
from serving.model_server.errors import ServingError
from serving.model_server.json_reader import Body, Reader

Array = np.ndarray[Any, Any]
LARGE = 4 * 2**20  # bytes; what is smaller is read here, within some ten milliseconds
_ENDS_AFTER = 32 * 2**20  # bytes of a body after which a process ends, and gives back what it holds
_places = Places()
_idle: list[_Process] = []
_lock = threading.Lock()


@contextlib.contextmanager
def opened(body: Sequence[bytes], verb: str) -> Iterator[Body]:
    """The body of a request to `verb`, of which the parts are given, parsed. Raises ServingError for no JSON object."""
    size = sum(map(len, body))
    if size <= LARGE:
        yield Reader(b"".join(body), verb)
        return
    with _places:
        process = _taken()
        try:
            with while_waited_for(process.kill):
                yield _Remote(process, body, verb)
        finally:
            process.forget(size)
            _give_back(process)


def _taken() -> _Process:
    with _lock:
        process = _idle.pop() if _idle else None
    return process if process is not None and process.lives else _Process()


def _give_back(process: _Process) -> None:
    with _lock:
        if process.lives and not _idle:
            _idle.append(process)
            return
    process.kill()


class _Process:
    """A process that reads, and its pipes."""

    def __init__(self) -> None:
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path or os.getcwd() for path in sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-m", json_worker.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # they are pipes
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout

    @property
    def lives(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, head: list[Any], parts: Sequence[bytes] | None = None) -> json_worker.Message:
        """What it answers to a message with one blob of these parts, or none.

        Raises ServingError: what it refuses, or that it has ended.
        """
        try:
            json_worker.send(self._to, head, [] if parts is None else [parts])
            answer, blobs = json_worker.receive(self._from)
        except (OSError, EOFError, ValueError):
            self.kill()
            raise ServingError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "The request's body could not be read: its reader was ended."
            ) from None
        if answer[0] == "error":
            raise ServingError(grpc.StatusCode[answer[1]], answer[2])
        return answer, blobs

    def forget(self, size: int) -> None:
        """Its body, of `size` bytes, is of no use any longer."""
        try:
            if size <= _ENDS_AFTER:
                json_worker.send(self._to, ["end"])
            else:
                self.kill()
        except OSError:
            self.kill()

    def kill(self) -> None:
        """End it, whatever it is at; whoever waits for its answer is told."""
        self._process.kill()
        self._process.wait()


class _Remote:
    """A Body that is parsed there."""

    def __init__(self, process: _Process, body: Sequence[bytes], verb: str) -> None:
        self._process = process
        (_, self._name), _ = process.ask(["body", verb], body)

    def signature_name(self) -> str:
        """See Body."""
        return str(self._name)

    def inputs(self, tensors: Sequence[Tensor], most_rows: int | None) -> tuple[bool, dict[str, Array]]:
        """See Body."""
        asked = ["inputs", most_rows, [[tensor.alias, tensor.name, tensor.dtype] for tensor in tensors]]
        (_, row_form, heads), blobs = self._process.ask(asked)
        return row_form, {alias: json_worker.unpacked(head, blobs) for alias, head in heads.items()}

    def examples(self) -> Array:
        """See Body."""
        (_, _, heads), blobs = self._process.ask(["examples"])
        return json_worker.unpacked(heads[""], blobs)
