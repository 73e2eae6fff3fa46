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

Array = np.ndarray[Any, Any]
_SHORTEST = 256  # bytes; shorter ones are not worth it
_SLICE = 2**18  # bytes that simdjson parses at once: one or two milliseconds
_MOST_STRINGS = 10_000  # what stands behind so many is left as it is
_NUMBER_BYTES = b" \t\r\n0123456789.eE+-"
_BASE64_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_STRIDE = 16  # bytes; among fewer it is quicker to look at all than at the last of each
# Between two values of a list, whatever its depth.
_CUT = re.compile(rb"[0-9\]],[ ]?[-0-9\[]")
# Takes the place of what was lifted. No client can know it.
_MARK = secrets.token_hex(16)


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
            if start >= 0 and end - start >= _SHORTEST and body.find(b"{", start, end) < 0:
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
    structure, values = [], []
    for part, opened, closed in _slices(text, start, end):
        structure.append(part.translate(None, _NUMBER_BYTES))
        values.append(_flat(b"[" * opened + part + b"]" * closed, kind))
    flat = values[0] if len(values) == 1 else np.concatenate(values)
    shape = _shape(b",".join(structure))
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
        before, depth = depth, depth + part.count(b"[") - part.count(b"]")
        if depth < 1:
            raise NotPlainError
        yield part, before, depth
        start = cut.start() + 2
    yield text[start:end], depth, 0


def _flat(text: bytes, kind: str) -> Array:
    try:
        document = simdjson.Parser().parse(text)
        buffer = document.as_buffer(of_type=kind)
    except (ValueError, TypeError, AttributeError, RuntimeError):
        raise NotPlainError from None
    return np.frombuffer(buffer, np.float64 if kind == "d" else np.int64)


def _shape(structure: bytes) -> tuple[int, ...]:
    """The sizes of nested lists of which `structure` holds the brackets and commas; a list of nothing counts as one."""
    rank = len(structure) - len(structure.lstrip(b"["))
    if not 1 <= rank <= 64:
        raise NotPlainError
    shape: list[int] = []
    item = b""
    for level in range(1, rank + 1):
        # The first list of this level ends where so many brackets close for the first time.
        start = rank - level
        end = len(structure) if level == rank else _end(structure, start, level, len(item) + 1)
        size = (end - start - 1) // (len(item) + 1)
        if end < level or size < 1:
            raise NotPlainError
        item = b"[" + (item + b",") * (size - 1) + item + b"]"
        shape.append(size)
    if item != structure:
        raise NotPlainError
    return tuple(reversed(shape))


def _end(structure: bytes, start: int, level: int, step: int) -> int:
    """Behind the list of this level that begins at `start`, whose items all take `step` bytes with their commas."""
    if step < _STRIDE:
        return structure.find(b"]" * level, start) + level
    # Behind each item stands a comma, or the bracket that is looked for.
    items = structure[start + step :: step].find(b"]")
    return start + step * (items + 1) + 1 if items >= 0 else 0
