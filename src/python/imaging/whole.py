"""Whether a file is there to its end. What stands behind the end, such as the video of a phone, is passed over."""

import re
import zlib

from imaging.errors import CorruptImage, ImageTooLarge
from imaging.head import too_many

_PNG_SIGNATURE = 8  # bytes
_CHUNK_FRAME = 12  # bytes of length, name and checksum around a chunk's content
# Inside pixel data 0xff is followed by 0x00 or a restart marker, between segments it may be repeated.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_START, _END, _SCAN, _TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01
_ALONE = (_START, _TEMPORARY)  # markers without a segment


def check_png(data: bytes, max_parts: int) -> None:
    """Refuses a PNG that ends before its end marker, in which a checksum is wrong, or with more chunks than these.

    Raises:
        CorruptImage, ImageTooLarge
    """
    view, place, parts = memoryview(data), _PNG_SIGNATURE, 0
    while place + _CHUNK_FRAME <= len(data):
        parts += 1
        if parts > max_parts:
            raise too_many("PNG", max_parts)
        end = place + _CHUNK_FRAME + int.from_bytes(view[place : place + 4], "big")
        if end > len(data):
            break
        if zlib.crc32(view[place + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise CorruptImage("The PNG is damaged: a checksum in it is wrong.")
        if view[place + 4 : place + 8] == b"IEND":
            return
        place = end
    raise CorruptImage("The PNG is cut off: its end marker is missing.")


def check_jpeg(data: bytes, max_scans: int, max_parts: int) -> None:
    """Refuses a JPEG that ends before its end marker, or with more scans or segments than these.

    Raises:
        CorruptImage, ImageTooLarge
    """
    place = scans = parts = 0
    while match := _MARKER.search(data, place):
        marker, place = data[match.end() - 1], match.end()
        if marker == _END and scans:
            return
        parts += 1
        if parts > max_parts:
            raise too_many("JPEG", max_parts)
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        if length < 2 or marker == _END:
            raise CorruptImage("The JPEG is damaged: it holds no picture, or a part of it has no length.")
        place += length
        scans += marker == _SCAN
        if scans > max_scans:
            raise ImageTooLarge(f"The JPEG has more than {max_scans} scans; save it again as a plain JPEG.")
    raise CorruptImage("The JPEG is cut off: its end marker is missing.")
