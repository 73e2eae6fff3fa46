"""How a refusal shows a JSON value: in the original's words and layout, and never at length."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

# Of a value's text; the token that passes it is the last, as in the original.
_MOST_CHARS = 256
_MOST_OF_STRING = 1024
_INDENT = "    "
_TYPE_NAMES = {str: "String", dict: "Object", list: "Array", int: "Number", float: "Number", type(None): "Null"}


def type_name(value: Any) -> str:
    """What the original calls a value's kind."""
    return str(value) if isinstance(value, bool) else _TYPE_NAMES.get(type(value), "Object")


def shown(value: Any) -> str:
    """The beginning of a value's JSON text: lists on one line, objects with a line for each member."""
    parts: list[str] = []
    size = 0
    for token in _tokens(value, 0):
        if size >= _MOST_CHARS:
            break
        parts.append(token)
        size += len(token)
    return "".join(parts)


def _tokens(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, list):
        yield "["
        for position, item in enumerate(value):
            if position:
                yield ", "
            yield from _tokens(item, depth + 1)
        yield "]"
    elif isinstance(value, dict):
        yield "{"
        for position, (key, item) in enumerate(value.items()):
            yield (",\n" if position else "\n") + _INDENT * (depth + 1) + _scalar(key) + ": "
            yield from _tokens(item, depth + 1)
        yield ("\n" + _INDENT * depth if value else "") + "}"
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        value = value[:_MOST_OF_STRING]
    # Arrays stand for what a fast parser has read; the careful one says it again.
    return json.dumps(value, ensure_ascii=False, default=lambda _: None)
