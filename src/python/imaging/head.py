"""What stands before the pixels of a file: its parts are counted there, before Pillow reads them one by one.

A chunk or a segment costs a sender a few bytes and a reader of its own far more, so their number has a limit.
"""

import re
from collections.abc import Iterator

from imaging.errors import ImageTooLarge
from imaging.kinds import Kind

_PNG_SIGNATURE, _CHUNK_FRAME = 8, 12  # bytes
_PIXELS = (b"IDAT", b"IEND")
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SCAN, _END, _ALONE = 0xDA, 0xD9, (0xD8, 0x01)
# Start of frame: the markers that tell height and width. c4, c8 and cc among them are something else.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# Bytes between segments. The standard allows fill bytes; Pillow reads them one at a time.
_MOST_FILL = 64 * 1024


def check_head(data: bytes, kind: Kind, most: int) -> None:
    """
    Raises:
        ImageTooLarge: more than `most` chunks or segments stand before the pixels.
    """
    parts = _chunks(data) if kind == "PNG" else _segments(data)
    for count, _ in enumerate(parts, 1):
        if count > most:
            raise too_many(kind, most)


def too_many(kind: Kind, most: int) -> ImageTooLarge:
    part = "chunks" if kind == "PNG" else "segments"
    return ImageTooLarge(f"The {kind} has more than {most} {part}; save it again with an image editor.")


def area(data: bytes, kind: Kind, most: int) -> int:
    """The pixels that the header claims, as far as it can be told without reading more than `most` parts; else 0."""
    if kind == "PNG":
        return int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big")
    for count, (marker, place) in enumerate(_segments(data), 1):
        if marker in _FRAMES:
            return int.from_bytes(data[place + 3 : place + 5], "big") * int.from_bytes(
                data[place + 5 : place + 7], "big"
            )
        if count > most:
            break
    return 0


def _chunks(data: bytes) -> Iterator[int]:
    place = _PNG_SIGNATURE
    while place + _CHUNK_FRAME <= len(data) and data[place + 4 : place + 8] not in _PIXELS:
        yield place
        place += _CHUNK_FRAME + int.from_bytes(data[place : place + 4], "big")


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker with the place behind it; raises ImageTooLarge for a long run of bytes between two."""
    place = filled = 0
    while match := _MARKER.search(data, place):
        filled += match.start() - place
        if filled > _MOST_FILL:
            raise ImageTooLarge("The JPEG has too many bytes between its segments; save it again with an image editor.")
        marker, place = data[match.end() - 1], match.end()
        if marker in (_SCAN, _END):
            return
        yield marker, place
        if marker not in _ALONE:
            place += int.from_bytes(data[place : place + 2], "big")
