"""The files of a form (multipart/form-data, RFC 7578), found in a body that is there already.

Readers of streams look at a form byte by byte, in Python, as nobody knows where a boundary begins: a body of line ends
takes them seconds. Here every step is a search by C code, and there are as many as there may be images.
"""

import re
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header

from serving.adapter.refusals import BadRequest, TooLarge, UnknownFormat

_MOST_HEAD = 8 * 1024  # bytes before a file: its name and its type
_MOST_BOUNDARY = 70  # characters, by RFC 2046
_BLANKS_AND_END = re.compile(rb"[ \t]*(?:\r\n|$)")
_BROKEN = "The multipart body can't be read."


@dataclass(frozen=True)
class File:
    """A file of a form, and its name if it has one."""

    data: bytes
    name: str | None


def read_form(content_type: str, body: bytes, max_files: int) -> list[File]:
    """The files in `body`, in its order.

    Raises:
        BadRequest: it is no form, or a field of it is no file.
        TooLarge: more than `max_files` files.
        UnknownFormat: a character set other than UTF-8.
    """
    files: list[File] = []
    for head, data in _parts(body, _boundary(content_type), max_files):
        field, name = _named(head)
        if name is None:
            raise BadRequest(f"Form field '{field}' is not a file; every field must hold an image file.")
        files.append(File(data, name or None))
    return files


def _boundary(content_type: str) -> bytes:
    _, options = parse_options_header(content_type.encode("latin-1", "replace"))
    charset = options.get(b"charset", b"utf-8").decode("latin-1").strip().lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnknownFormat(f"The header Content-Type names the character set '{charset[:40]}'; send UTF-8.")
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _MOST_BOUNDARY:
        raise BadRequest(f"{_BROKEN} Its header Content-Type names no boundary.")
    return boundary


def _parts(body: bytes, boundary: bytes, most: int) -> list[tuple[bytes, bytes]]:
    """Headers and content of each part."""
    line, parts = b"--" + boundary, list[tuple[bytes, bytes]]()
    # What stands before the first boundary counts for nothing.
    place = 0 if body.startswith(line) else body.find(b"\r\n" + line) + 2
    if place < 2 and not body.startswith(line):
        raise BadRequest(_BROKEN)
    place += len(line)
    while not body.startswith(b"--", place):
        begin = _BLANKS_AND_END.match(body, place)
        end = body.find(b"\r\n" + line, place)
        if not begin or end < 0:
            raise BadRequest(_BROKEN)
        # A part without a header begins with the empty line.
        after = begin.end() - 2
        head_end = body.find(b"\r\n\r\n", after, min(end + 4, after + _MOST_HEAD))
        if head_end < 0:
            raise BadRequest(_BROKEN)
        if len(parts) == most:
            raise TooLarge(f"The request has more than {most} images; send several requests.")
        parts.append((body[after + 2 : head_end], body[head_end + 4 : max(end, head_end + 4)]))
        place = end + 2 + len(line)
    return parts


def _named(head: bytes) -> tuple[str, str | None]:
    """The names of a part's field and of its file; None for a field that is no file."""
    for header in head.split(b"\r\n"):
        key, _, value = header.partition(b":")
        if key.strip().lower() == b"content-disposition":
            kind, options = parse_options_header(value.strip())
            if kind == b"form-data" and b"name" in options:
                name = options.get(b"filename")
                return _text(options[b"name"]), None if name is None else _text(name)
    raise BadRequest(f"{_BROKEN} A part of it has no name.")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
