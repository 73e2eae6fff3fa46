"""Takes what is large out of a JSON text before it is parsed: lists of numbers, and strings of base64.

What remains is small, whatever the body's size. Lists go through simdjson in slices, so that other threads get the
interpreter's lock in between. What is not plain is refused with NotPlainError, and the careful parser in `json_input`
says what is wrong with the text, or reads what simdjson does not (infinities, integers beyond 64 bits).
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np
import simdjson

from serving.model_server import json_shape

Array = np.ndarray[Any, Any]
_SHORTEST = 256  # bytes; shorter ones are not worth it
_SLICE = 2**18  # bytes that simdjson parses at once: one or two milliseconds
_MOST_STRINGS = 10_000  # what stands behind so many is left as it is
_NUMBER_BYTES = b" \t\r\n0123456789.eE+-"
_BASE64_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
# Between two values of a list, whatever its depth.
_CUT = re.compile(rb"[0-9\]],[ ]?[-0-9\[]")
# Takes the place of what was lifted. No client can know it.
_MARK = secrets.token_hex(16)
# Idle ones. A new one asks the system for memory, which can take as long as the reading.
_parsers: list[simdjson.Parser] = []
_PARSERS_KEPT = 2  # with up to 7 MiB each; threads that read at once take turns at the interpreter's lock


class NotPlainError(Exception):
    """There is something in the text that only the careful parser may judge."""


def lift(body: bytes) -> tuple[bytes, dict[str, Array | str]]:
    """`body` with marks, as JSON strings, in place of what is large, and what each mark stands for.

    Lists become arrays of int64 or float64 in their own shape. Raises NotPlainError.
    """
    if len(body) < _SHORTEST:
        return body, {}
    kept: list[bytes] = []
    lifted: dict[str, Array | str] = {}
    position = 0
    for start, end, quoted in _large(body):
        mark = f"{_MARK}{len(lifted)}"
        lifted[mark] = body[start:end].decode("ascii") if quoted else numbers(body, start, end)
        kept += [body[position:start], mark.encode() if quoted else f'"{mark}"'.encode()]
        position = end
    return (b"".join(kept) + body[position:], lifted) if lifted else (body, {})


def fill(value: Any, lifted: dict[str, Array | str]) -> Any:
    """The parsed document with every mark replaced by what it stands for. Raises NotPlainError for a list as a key."""
    if isinstance(value, str):
        return lifted.get(value, value)
    if isinstance(value, list):
        return [fill(item, lifted) for item in value]
    if isinstance(value, dict):
        return {_key(key, lifted): fill(item, lifted) for key, item in value.items()}
    return value


def _key(name: str, lifted: dict[str, Array | str]) -> str:
    key = lifted.get(name, name)
    if not isinstance(key, str):
        raise NotPlainError  # {[1, 2]: 3}
    return key


def _large(body: bytes) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it is a string's inside) of what is large, in order."""
    position = 0
    for _ in range(_MOST_STRINGS):
        quote = body.find(b'"', position)
        limit = len(body) if quote < 0 else quote
        if limit - position >= _SHORTEST:
            start = body.find(b"[", position, limit)
            brace = body.find(b"}", max(start, position), limit)  # closes the object that the list is a value of
            end = body.rfind(b"]", position, limit if brace < 0 else brace) + 1
            # Without a quotation mark an object is empty, and has been closed: none is open here.
            if start >= 0 and end - start >= _SHORTEST:
                yield start, end, False
        if quote < 0:
            return
        closing = body.find(b'"', quote + 1)
        if closing < 0:
            raise NotPlainError
        if closing - quote > _SHORTEST and not body[quote + 1 : closing].translate(None, _BASE64_BYTES):
            yield quote + 1, closing, True
        elif b"\\" in body[quote:closing]:
            while _escaped(body, closing):
                closing = body.find(b'"', closing + 1)
                if closing < 0:
                    raise NotPlainError
        position = closing + 1


def _escaped(body: bytes, quote: int) -> bool:
    backslashes = 0
    while body[quote - 1 - backslashes] == ord("\\"):
        backslashes += 1
    return backslashes % 2 == 1


def numbers(text: bytes, start: int, end: int) -> Array:
    """The rectangular nested lists of numbers text[start:end] as an array. Raises NotPlainError for anything else."""
    kind = "d" if any(text.find(sign, start, end) >= 0 for sign in (b".", b"e", b"E")) else "i"
    if end - start <= 2 * _SLICE:
        part = text[start:end]
        flat, shape = _read(part, kind, shape=True)
        if shape is not None:
            return flat.reshape(shape)
        structure = [part.translate(None, _NUMBER_BYTES)]
    else:
        structure, values = [], []
        for part, opened, closed in _slices(text, start, end):
            structure.append(part.translate(None, _NUMBER_BYTES))
            values.append(_read(b"[" * opened + part + b"]" * closed, kind)[0])
        flat = np.concatenate(values)
    shape = json_shape.of_structure(b",".join(structure))
    if shape is None:
        raise NotPlainError
    if flat.size != math.prod(shape):
        # [] and [7] look the same without their digits.
        if flat.size == 0 and shape[-1] == 1:
            shape = (*shape[:-1], 0)
        else:
            raise NotPlainError
    return flat.reshape(shape)


def _slices(text: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Parts of text[start:end], cut at commas, each with the brackets to open before it and to close behind it."""
    depth = 0
    while end - start > 2 * _SLICE:
        cut = _CUT.search(text, start + _SLICE, end)
        if cut is None:
            break
        part = text[start : cut.start() + 1]
        brackets = np.frombuffer(part, np.uint8)  # bytes.count takes thirty times as long
        before, depth = (
            depth,
            depth + int(np.count_nonzero(brackets == ord("["))) - int(np.count_nonzero(brackets == ord("]"))),
        )
        if depth < 1:
            raise NotPlainError
        yield part, before, depth
        start = cut.start() + 2
    yield text[start:end], depth, 0


def _read(text: bytes, kind: str, shape: bool = False) -> tuple[Array, tuple[int, ...] | None]:
    """The numbers in `text`; and the sizes of its lists, if they are asked for and the parser can tell them."""
    try:
        parser = _parsers.pop()
    except IndexError:
        parser = simdjson.Parser()
    try:
        document = parser.parse(text)
        buffer = document.as_buffer(of_type=kind)
    except (ValueError, TypeError, AttributeError, RuntimeError):
        raise NotPlainError from None
    flat = np.frombuffer(buffer, np.float64 if kind == "d" else np.int64)
    sizes = json_shape.of_parsed(document, text, flat.size) if shape else None
    del document  # a parser whose document is held reads no other
    if len(_parsers) < _PARSERS_KEPT:
        _parsers.append(parser)
    return flat, sizes
