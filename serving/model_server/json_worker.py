"""The process that reads one large body after another: `python -m serving.model_server.json_worker`, over its pipes."""

from __future__ import annotations

import gc
import importlib.util
import json
import signal
import sys
import types
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from serving.model_server.json_reader import Reader

Array = np.ndarray[Any, Any]
# A message is a line of JSON, which ends with the sizes of the blobs behind it.
Message = tuple[list[Any], list[memoryview]]
_ALIGNED = 64  # bytes; TensorFlow takes an array that begins so as it is, and copies every other one


def send(pipe: IO[bytes], head: list[Any], blobs: Sequence[Sequence[bytes | memoryview]] = ()) -> None:
    """Write a message; each blob is given in parts. Raises OSError when nobody reads."""
    pipe.write(json.dumps([*head, [sum(map(len, parts)) for parts in blobs]]).encode() + b"\n")
    for parts in blobs:
        for part in parts:
            pipe.write(part)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Message:
    """Read a message. Raises EOFError when there is none."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    *head, sizes = json.loads(line)
    blobs = [_space(size) for size in sizes]
    for blob in blobs:
        if pipe.readinto(blob) != len(blob):  # type: ignore[attr-defined]  # a buffered reader
            raise EOFError
    return head, blobs


def _space(size: int) -> memoryview:
    """Memory that nobody has written to: to fill a large one with zeros first keeps every other thread waiting."""
    whole = np.empty(size + _ALIGNED, np.uint8)
    start = -whole.ctypes.data % _ALIGNED
    return whole[start : start + size].data


def packed(array: Array) -> tuple[list[Any], list[list[bytes | memoryview]]]:
    """(head, blobs) of an array, strings with their lengths before them."""
    if array.dtype.kind != "O":
        return [array.dtype.str, array.shape], [[np.ascontiguousarray(array).reshape(-1).view(np.uint8).data]]
    flat = array.ravel().tolist()
    return ["O", array.shape], [[np.array([len(text) for text in flat], np.int64).tobytes()], [b"".join(flat)]]


def unpacked(head: list[Any], blobs: list[memoryview]) -> Array:
    """The array; takes what it needs from the front of `blobs`."""
    kind, shape = head
    if kind != "O":
        return np.frombuffer(blobs.pop(0), kind).reshape(shape)
    lengths, text = np.frombuffer(blobs.pop(0), np.int64), blobs.pop(0)
    array, end = np.empty(len(lengths), object), 0
    # In Python, a string at a time: other threads of the server run in between.
    for position, length in enumerate(lengths):
        start, end = end, end + int(length)
        array[position] = bytes(text[start:end])
    return array.reshape(shape)


def main() -> None:
    """Answer until the server closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server, which gets it too, lets its requests finish
    gc.disable()  # millions of lists are made, none of which is garbage
    _messages_alone()
    from serving.model_server.errors import answer_to
    from serving.model_server.json_reader import Reader

    source, target = sys.stdin.buffer, sys.stdout.buffer
    reader: Reader | None = None
    while True:
        try:
            head, blobs = receive(source)
        except EOFError:
            return
        try:
            if head[0] == "body":
                reader = Reader(bytes(blobs.pop()), head[1])
                send(target, ["signature", reader.signature_name()])
            elif head[0] == "end":
                reader = None
            elif reader is not None:
                send(target, *_asked(reader, head))
        except Exception as problem:
            error = answer_to(problem)
            send(target, ["error", error.code.name, error.message])


def _asked(reader: Reader, head: list[Any]) -> tuple[list[Any], list[list[bytes | memoryview]]]:
    from serving.model_server.dtypes import Tensor

    if head[0] == "examples":
        shape, blobs = packed(reader.examples())
        return ["arrays", False, {"": shape}], blobs
    row_form, arrays = reader.inputs([Tensor(*tensor) for tensor in head[2]], head[1])
    every = {alias: packed(array) for alias, array in arrays.items()}
    shapes = {alias: shape for alias, (shape, _) in every.items()}
    return ["arrays", row_form, shapes], [blob for _, blobs in every.values() for blob in blobs]


def _messages_alone() -> None:
    """Lets TensorFlow's messages be imported without the library before them: 0.2 s instead of 4, and 40 MiB."""
    found = importlib.util.find_spec("tensorflow")
    if found is not None and "tensorflow" not in sys.modules:
        package = types.ModuleType("tensorflow")
        package.__path__ = list(found.submodule_search_locations or [])
        sys.modules["tensorflow"] = package


if __name__ == "__main__":
    main()
