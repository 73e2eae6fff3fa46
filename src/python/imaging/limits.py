"""How large an image may be before a pixel of it is decoded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper bounds, all inclusive. A full-size hospital radiograph (about 4300x3500, 16 bit) stays well below them."""

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 36_000_000
    max_side: int = 10_000  # pixels
    # Scans of a JPEG. Encoders write about ten; each costs a pass over every pixel, so a small file with thousands of
    # empty ones would keep a server busy for minutes.
    max_scans: int = 100
    # Chunks of a PNG, or segments of a JPEG. Pillow takes about 10 µs for each, however empty it is; an encoder with
    # small blocks (1 KiB) makes half as many of the largest file.
    max_parts: int = 65_536


DEFAULT = Limits()
