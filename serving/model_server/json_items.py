"""Large JSON texts, item by item: a parser that reads many MiB at once keeps all other threads waiting meanwhile."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
from collections.abc import Callable, Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in the stubs
from json.scanner import make_scanner
from typing import Any

_scan: Callable[[str, int], tuple[Any, int]] = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]
_making, _lock = 0, threading.Lock()


def read(text: str) -> tuple[dict[str, Any], int]:
    """The object that `text` begins with, as Python's parser reads it, and where it ends.

    Raises ValueError, IndexError or StopIteration for what is none; the parser says better what is wrong.
    """
    found: dict[str, Any] = {}
    place = _after(text, 0, "{")
    while True:
        if text[place] != '"':
            raise ValueError(place)
        key, place = scanstring(text, place + 1, True)
        place = _after(text, _space(text, place), ":")
        found[key], place = _list(text, place) if text[place] == "[" else _scan(text, place)
        place = _space(text, place)
        if text[place] == "}":
            return found, place + 1
        place = _after(text, place, ",")


def _list(text: str, place: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    place = _space(text, place + 1)
    if text[place] == "]":
        return items, place + 1
    while True:
        item, place = _scan(text, place)
        items.append(item)
        place = _space(text, place)
        if text[place] == "]":
            return items, place + 1
        place = _after(text, place, ",")


def _after(text: str, place: int, sign: str) -> int:
    if text[place] != sign:
        raise ValueError(place)
    return _space(text, place + 1)


def _space(text: str, place: int) -> int:
    while text[place] in " \t\n\r":
        place += 1
    return place


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """While millions of lists are made, none of which is garbage, nobody looks for garbage among them."""
    global _making
    with _lock:
        _making += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _making -= 1
            if not _making:
                gc.enable()
