"""Bodies that came as gzip."""

import zlib

from serving.adapter.refusals import BadRequest, TooLarge

_GZIP = 16 + zlib.MAX_WBITS  # zlib's number for gzip's header and trailer
# Parts that a body may have. Each costs its sender 20 bytes, and here a decompressor.
_MOST_PARTS = 64
# Bytes unpacked at a time: zlib holds what it makes twice for a moment, which of a whole body would be too much.
_PIECE = 4 * 1024 * 1024


def unpacked(body: bytes, max_bytes: int) -> bytes:
    """What `body` holds, of one part or several.

    Raises:
        BadRequest: it is no gzip, or cut off.
        TooLarge: it holds more than `max_bytes`, or has more parts than anybody makes.
    """
    found: list[bytes] = []
    size, rest = 0, body
    for _ in range(_MOST_PARTS):
        stream = zlib.decompressobj(_GZIP)
        while not stream.eof:
            try:
                found.append(stream.decompress(rest, _PIECE))
            except zlib.error:
                raise _broken() from None
            if not found[-1] and not stream.eof:
                raise _broken()
            size += len(found[-1])
            if size > max_bytes:
                raise TooLarge(f"The request has more than {max_bytes} bytes; send fewer or smaller images.")
            rest = stream.unconsumed_tail
        rest = stream.unused_data
        if not rest:
            return b"".join(found)
    raise TooLarge(f"The body is gzip of more than {_MOST_PARTS} parts; pack it as one.")


def _broken() -> BadRequest:
    return BadRequest("The body is no gzip, or cut off, which the header Content-Encoding says that it is.")
