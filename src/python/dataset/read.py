"""One image file: read, decoded once, measured, and let go."""

import hashlib
import io
import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from imaging import DEFAULT, ImageError
from imaging.array import canonical

# Side in pixels of the picture that is measured and compared.
_MEASURED = 64
Progress = Callable[[int, int], None]  # files done, files in all
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class Read:
    """What is kept of an image: a few hundred bytes, however large it is. `problem` tells why it can't be read."""

    path: Path
    label: str
    sha256: str = ""  # hexadecimal, of the file's bytes
    picture: bytes = b""  # digest of what the image shows, the same for a copy that was saved anew without loss
    bytes: int = 0
    width: int = 0  # pixels
    height: int = 0
    kind: str = ""  # format and mode: "PNG L", "JPEG RGB"
    brightness: float = 0.0  # mean gray level, 0 to 255
    contrast: float = 0.0  # standard deviation of the gray levels
    problem: str = ""

    @property
    def side(self) -> float:
        """Pixels; of an oblong image those of the square with as many."""
        return math.sqrt(self.width * self.height)


def read(path: Path, label: str) -> Read:
    try:
        with path.open("rb") as stream:
            data = stream.read(DEFAULT.max_bytes + 1)
        pixels = canonical(data, _MEASURED)
    except ImageError as error:
        return Read(path, label, problem=str(error))
    except OSError as error:
        return Read(path, label, problem=f"{error.strerror}.")
    # The header once more, which `canonical` has checked but does not tell.
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        width, height, kind = *image.size, sys.intern(f"{image.format} {image.mode}")
    return Read(
        path,
        label,
        sha256=hashlib.sha256(data).hexdigest(),
        picture=hashlib.sha256(pixels.tobytes()).digest()[:16],
        bytes=len(data),
        width=width,
        height=height,
        kind=kind,
        brightness=float(pixels.mean()),
        contrast=float(pixels.std()),
    )


def in_order(pool: Executor, work: Callable[[_In], _Out], items: Iterable[_In], ahead: int = 64) -> Iterator[_Out]:
    """`work` done on each item, in order, at most `ahead` of what is asked for: Executor.map queues all of them."""
    waiting: deque[Future[_Out]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
