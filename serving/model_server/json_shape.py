"""The sizes of nested lists of numbers: found by looking at the least of their text that proves them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import simdjson

Array = np.ndarray[Any, Any]
_OPEN, _CLOSE, _COMMA = b"[],"
_BLOCK = 2**17  # bytes
_MOST_DIMENSIONS = 64  # of a NumPy array
_STRIDE = 16  # bytes; among fewer it is quicker to look at all than at the last of each
_SHORT = 4096  # bytes; of less the brackets are taken out as quickly
# Asking the parser for a list's length takes as long as to take the brackets out around so many numbers.
_NUMBERS_A_LIST = 8


def of_parsed(document: Any, text: bytes, count: int) -> tuple[int, ...] | None:
    """The sizes of `document`, simdjson's reading of `text` with `count` numbers in it and nothing but lists around.

    None: not known in this way; that includes every list that is no rectangle.
    """
    sizes: list[int] = []
    first = document
    while isinstance(first, simdjson.Array) and len(first) and len(sizes) < _MOST_DIMENSIONS:
        sizes.append(len(first))
        first = first[0]
    if len(text) < _SHORT or math.prod(sizes) != count:
        return None
    # One number in each innermost list, as the one channel of a gray image: those lists are too many to be asked.
    single = sizes[-1] == 1 and len(sizes) > 1
    asked = sizes[:-1] if single else sizes
    if asked[-1] < _NUMBERS_A_LIST:
        return None
    level = [document]
    for position, size in enumerate(asked):
        if set(map(len, level)) != {size}:
            return None
        if position < len(asked) - 1:
            level = [inner for one in level for inner in one]
            if set(map(type, level)) != {simdjson.Array}:
                return None
    # Every list that there may be has been seen, but for the single ones.
    lists = sum(math.prod(sizes[:depth]) for depth in range(len(sizes)))
    opened = _opened_beside_commas(text) if single else sum(np.count_nonzero(b == _OPEN) for b, _ in _blocks(text, 0))
    return tuple(sizes) if opened == lists else None


def _opened_beside_commas(text: bytes) -> int | None:
    """How many lists there are, if one stands on both sides of every comma: then numbers stand alone in their lists.

    A space may stand behind the commas, none before them. None: a number stands beside a comma.
    """
    behind = 2 if text.find(b", ") == text.find(b",") else 1
    opened = 0
    for block, size in _blocks(text, behind):
        comma, opens = block == _COMMA, block == _OPEN
        # Behind the first character, which is a bracket or was looked at with the block before.
        if np.any(comma[1:] > (block[:-1] == _CLOSE)) or np.any(comma[:-behind] > opens[behind:]):
            return None
        opened += int(np.count_nonzero(opens[:size]))
    return opened


def _blocks(text: bytes, more: int) -> Iterator[tuple[Array, int]]:
    """The characters of `text` in parts so small that what is computed of each stays in the processor's cache.

    Behind the size of each stand `more` of the next one, if there is one.
    """
    characters = np.frombuffer(text, np.uint8)
    for start in range(0, len(text), _BLOCK):
        yield characters[start : start + _BLOCK + more], min(_BLOCK, len(text) - start)


def of_structure(structure: bytes) -> tuple[int, ...] | None:
    """The sizes of lists of which `structure` holds the brackets and commas; a list of nothing counts as one.

    None: they are no rectangle.
    """
    rank = len(structure) - len(structure.lstrip(b"["))
    if not 1 <= rank <= _MOST_DIMENSIONS:
        return None
    shape: list[int] = []
    item = b""
    for level in range(1, rank + 1):
        # The first list of this level ends where so many brackets close for the first time.
        start = rank - level
        end = len(structure) if level == rank else _end(structure, start, level, len(item) + 1)
        size = (end - start - 1) // (len(item) + 1)
        if end < level or size < 1:
            return None
        item = b"[" + (item + b",") * (size - 1) + item + b"]"
        shape.append(size)
    return tuple(reversed(shape)) if item == structure else None


def _end(structure: bytes, start: int, level: int, step: int) -> int:
    """Behind the list of this level that begins at `start`, whose items all take `step` bytes with their commas."""
    if step < _STRIDE:
        return structure.find(b"]" * level, start) + level
    # Behind each item stands a comma, or the bracket that is looked for.
    items = structure[start + step :: step].find(b"]")
    return start + step * (items + 1) + 1 if items >= 0 else 0
