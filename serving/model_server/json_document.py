"""JSON request bodies -> documents: by fast parsers, and by a careful one that has the last word."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import TypeVar

import orjson

from serving.model_server import json_lift
from serving.model_server.errors import ServingError, invalid
from serving.model_server.json_shown import shown

Answer = TypeVar("Answer")
_DECODER = json.JSONDecoder()
_MAX_DEPTH = 100  # levels of nesting; no array has half as many dimensions
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_STRAY = re.compile("[\udc80-\udcff]")
_INFINITY = re.compile(r'"(?:[^"\\]|\\.)*+"|\bInf\b', re.DOTALL)
_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
# What may be beyond the largest double; only then every number is looked at, which takes long.
_PERHAPS_HUGE = re.compile(r"[eE]\+?\d{3}|\d{309}")
_FAR = 2**20  # characters; whether a comma or a brace lacks behind so many is not looked up
# What Python's parser says, and how the original's says it.
_WORDS = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
}


class Document:
    """A request's JSON object, read by the fastest parser that reads it as the careful one would.

    A fast parser's reading is good for an answer, never for a refusal: what goes wrong with it is tried again with the
    careful one's, so that a client gets the same bytes whichever was used.
    """

    def __init__(self, body: bytes, careful: bool = False) -> None:
        """`careful`: no fast parser. Raises ServingError for what is no JSON object."""
        self._body = body
        fields = None if careful else _fast_parse(body)
        self._careful = fields is None
        self.fields = parse(body) if fields is None else fields

    def read(self, reading: Callable[[dict[str, object]], Answer]) -> Answer:
        """`reading(fields)`, with the careful parser's fields if it refuses the others. Raises what it raises then."""
        try:
            return reading(self.fields)
        except TooManyRowsError as error:
            raise invalid(str(error)) from None
        except (ServingError, json_lift.NotPlainError):
            if self._careful:
                raise
        self._careful, self.fields = True, parse(self._body)
        return self.read(reading)


class TooManyRowsError(Exception):
    """Said of a request before its values are looked at."""


def _fast_parse(body: bytes) -> dict[str, object] | None:
    """The object, with arrays in place of long lists of numbers; None when the careful parser has to read it."""
    try:
        rest, lifted = json_lift.lift(body)
        document = orjson.loads(rest)
        if lifted:
            document = json_lift.fill(document, lifted)
    except (orjson.JSONDecodeError, json_lift.NotPlainError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def parse(body: bytes) -> dict[str, object]:
    """The JSON object at the beginning of `body`; what follows it is ignored, as in the original.

    Raises:
        ServingError: there is none.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    whole = _text(body)
    text = whole.lstrip(" \t\r\n")
    skipped = len(whole) - len(text)
    if not text:
        raise _refused("The document is empty.", skipped)
    try:
        if "Inf" in text:
            # Python's parser knows the long name alone.
            text = _INFINITY.sub(lambda found: "Infinity" if found[0] == "Inf" else found[0], text)
        decoder = json.JSONDecoder(parse_float=_finite, parse_int=_whole) if _PERHAPS_HUGE.search(text) else _DECODER
        try:
            document, end = decoder.raw_decode(text)
        except RecursionError:
            text = _flattened(text)
            document, end = decoder.raw_decode(text)
    except json.JSONDecodeError as error:
        words, place = _said(error)
        raise _refused(words, skipped + len(text[:place].encode("utf-8", "surrogateescape"))) from None
    except _TooBigError as error:
        place = max(0, text.find(str(error)))
        raise _refused("Number too big to be stored in double.", skipped + len(text[:place].encode())) from None
    except RecursionError:
        raise _refused("The document is nested too deep.", skipped) from None
    if not text.isascii() and (stray := _STRAY.search(text, 0, end)):
        raise _refused("Invalid encoding in string.", skipped + len(text[: stray.start()].encode()))
    if (half := _SURROGATE.search(text, 0, end)) and not _is_text(document):
        raise _refused("The surrogate pair in string is invalid.", skipped + len(text[: half.start()].encode()))
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    return document


class _TooBigError(ValueError):
    """A number beyond the largest double."""


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _TooBigError(text)
    return value


def _whole(text: str) -> int:
    if len(text) > 300:
        _finite(text)  # and more digits than Python reads as one number
    return int(text)


def _refused(words: str, offset: int) -> ServingError:
    return invalid(f"JSON Parse error: {words} at offset: {offset}")


def _said(error: json.JSONDecodeError) -> tuple[str, int]:
    """The parser's error in the original's words, and its place."""
    text, place = error.doc, error.pos
    if error.msg == "Unterminated string starting at":
        place = len(text)
    elif error.msg == "Invalid \\uXXXX escape":
        place -= 1
    if error.msg != "Expecting ',' delimiter":
        return _WORDS.get(error.msg, error.msg), place
    after_digit, char = text[place - 1 : place].isdigit(), text[place : place + 1]
    if after_digit and char == ".":
        return "Miss fraction part in number.", place + 1
    if after_digit and char in ("e", "E"):
        return "Miss exponent in number.", place + 1
    opened: list[str] = []
    for token in _STRINGS_AND_BRACKETS.finditer(text, 0, min(place, _FAR)):
        if token[0] in "[{":
            opened.append(token[0])
        elif token[0] in "]}":
            del opened[-1:]
    if opened[-1:] == ["{"]:
        return "Missing a comma or } after an object member.", place
    return "Missing a comma or ] after an array element.", place


def _is_text(document: object) -> bool:
    """Whether every escaped half of a character stands beside its other half."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(body: bytes) -> str:
    """The body as text; bytes that are not UTF-8, which may stand behind the document, become stray surrogates."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("utf-8-sig", "surrogateescape")


def _flattened(text: str) -> str:
    """JSON text with everything below _MAX_DEPTH levels of nesting replaced by null.

    Python's parser recurses; TensorFlow Serving's does not, and ignores what a request has too much, however deep.
    """
    kept: list[str] = []
    depth = position = 0
    for token in _STRINGS_AND_BRACKETS.finditer(text):
        char = token[0][0]
        if char in "[{":
            depth += 1
            if depth == _MAX_DEPTH + 1:
                kept.append(text[position : token.start()] + "null")
        elif char in "]}":
            depth -= 1
            if depth == _MAX_DEPTH:
                position = token.end()
    return "".join(kept) + text[position:]
