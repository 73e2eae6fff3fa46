"""What is known of an image by its bytes alone: measured once, whatever the file is called and wherever it lies."""

import hashlib
import math
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cli.machine import memory
from imaging.original import Original, opened

# Side in pixels of the picture that is measured.
_MEASURED = 64
# Of the one that a perceptual hash is taken from, and what is cut off each edge: turning leaves black corners.
_LOOKED_AT, _MARGIN = 128, 5
# Bits of a perceptual hash, one way; and the angles it is taken at: a copy that was turned is like one of them.
HASH_SIZE = 16
ANGLES = (0, -2, 2)  # degrees
PRINT_BYTES = HASH_SIZE * HASH_SIZE // 8
# Smaller pictures, and such as show next to nothing, have too little in them to be told apart by a hash.
_MIN_SIDE, _MIN_CONTRAST = 32, 4.0
# Of a pixel while it is decoded: 16-bit samples, the same as numbers of 32 bits twice, and as 8 bits.
_BYTES_A_PIXEL = 12
_SHARE_OF_MEMORY = 0.25


@dataclass(frozen=True, slots=True)
class Facts:
    """A few hundred bytes, however large the image is."""

    sha256: str  # hexadecimal, of the file's bytes
    picture: bytes  # digest of all pixels, the same for a copy that was saved anew without loss
    width: int  # pixels
    height: int
    kind: str  # format and mode: "PNG L", "JPEG RGB"
    brightness: float  # mean gray level, 0 to 255
    contrast: float  # standard deviation of the gray levels
    colour: float  # mean distance of a pixel's strongest and weakest colour, 0 to 255; 0 for gray
    top: int  # the brightest sample of an image with 16 bits; 0 for one with 8
    prints: bytes  # perceptual hashes at ANGLES, one after the other; empty where they would say nothing
    bytes: int  # of the file

    @property
    def side(self) -> float:
        """Pixels; of an oblong image those of the square with as many."""
        return math.sqrt(self.width * self.height)


def measure(data: bytes, sha256: str, white: int) -> Facts:
    """Decodes the image in `data`; `white` is the 16-bit sample that is full white.

    Raises:
        ImageError: it can't be read.
    """
    image = opened(data)
    with _room.taken(image.width * image.height):
        picture = image.load()
        samples = picture.samples()
        shown = hashlib.sha256(f"{samples.shape} {samples.dtype}".encode())
        shown.update(np.ascontiguousarray(samples).data)
        gray = picture.gray(white)
        small = np.asarray(_reduced(gray, _MEASURED))
        contrast = float(small.std())
        telling = min(image.width, image.height) >= _MIN_SIDE and contrast >= _MIN_CONTRAST
        return Facts(
            sha256=sha256,
            picture=shown.digest()[:16],
            bytes=len(data),
            width=image.width,
            height=image.height,
            kind=sys.intern(image.kind),
            brightness=float(small.mean()),
            contrast=contrast,
            colour=_colour(picture) if samples.ndim == 3 else 0.0,
            top=picture.top(),
            prints=_prints(gray) if telling else b"",
        )


def _reduced(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.Resampling.BILINEAR)


def _colour(picture: Original) -> float:
    small = np.asarray(_reduced(picture.image, _MEASURED)).astype(int)
    return float((small.max(axis=2) - small.min(axis=2)).mean())


def _prints(gray: Image.Image) -> bytes:
    import imagehash  # takes a second, which a folder that was measured before should not cost

    square = _reduced(gray, _LOOKED_AT)
    inner = (_MARGIN, _MARGIN, _LOOKED_AT - _MARGIN, _LOOKED_AT - _MARGIN)
    turned = (square.rotate(angle, Image.Resampling.BILINEAR) if angle else square for angle in ANGLES)
    hashes = [imagehash.phash(one.crop(inner), hash_size=HASH_SIZE).hash for one in turned]
    return np.packbits(np.stack(hashes).reshape(-1)).tobytes()


class _Room:
    """Keeps the pixels that all threads decode at once within a share of this machine's memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        pixels = min(pixels, self._most)  # a single one, however large, is decoded alone
        with self._changed:
            self._changed.wait_for(lambda: self._used + pixels <= self._most)
            self._used += pixels
        try:
            yield
        finally:
            with self._changed:
                self._used -= pixels
                self._changed.notify_all()


_room = _Room(int(memory() * _SHARE_OF_MEMORY / _BYTES_A_PIXEL))
