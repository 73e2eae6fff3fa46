"""Images of every kind a user may send, built in memory."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

# A file that Git LFS left in an image's place.
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def gradient(height: int, width: int, levels: int = 256) -> np.ndarray:
    """A smooth gray picture, uint8 or uint16 [height, width]: bright at the lower right."""
    ramp = np.linspace(0, 1, height)[:, None] * 0.6 + np.linspace(0, 1, width)[None, :] * 0.4
    return (ramp * (levels - 1)).astype(np.uint8 if levels == 256 else np.uint16)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """One PNG chunk with its length and checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_claiming(width: int, height: int) -> bytes:
    """A tiny PNG whose header promises width x height gray pixels: a decompression bomb's outside."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def wide_png(samples: np.ndarray, **chunks: bytes) -> bytes:
    """A PNG of uint16 [height, width, channels]: gray, gray and alpha, colour, or colour and alpha, 16 bits each.

    Pillow writes the first of them alone. `chunks` stand before the pixels.
    """
    height, width, channels = samples.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    body += b"".join(chunk(name.encode(), content) for name, content in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
