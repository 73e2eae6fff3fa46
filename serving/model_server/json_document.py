"""JSON request bodies -> documents: by fast parsers, and by a careful one that has the last word."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TypeVar

import orjson

from serving.model_server import json_lift
from serving.model_server.errors import ServingError, invalid

Answer = TypeVar("Answer")
_DECODER = json.JSONDecoder()
_MAX_DEPTH = 100  # levels of nesting; no array has half as many dimensions
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_STRAY = re.compile("[\udc80-\udcff]")
_INFINITY = re.compile(r'"(?:[^"\\]|\\.)*+"|\bInf\b', re.DOTALL)
_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


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
    if not body.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        text = _text(body).lstrip(" \t\r\n")
        if "Inf" in text:
            # Python's parser knows the long name alone.
            text = _INFINITY.sub(lambda found: "Infinity" if found[0] == "Inf" else found[0], text)
        try:
            document, end = _DECODER.raw_decode(text)
        except RecursionError:
            text = _flattened(text)
            document, end = _DECODER.raw_decode(text)
        if not text.isascii() and _STRAY.search(text, 0, end):
            raise ValueError("not UTF-8")
        if _SURROGATE.search(text, 0, end) and not _is_text(document):
            raise ValueError("The surrogate pair in string is invalid.")
    except (ValueError, RecursionError) as error:  # malformed, not UTF-8, or a number of thousands of digits
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid("Request must be a JSON object")
    return document


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
