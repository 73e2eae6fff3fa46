"""The whole picture in a file, in all its pixels: to compare and to measure. What a model sees of it is `pixels`."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFile

from imaging import decode
from imaging.errors import CorruptImage, ImageError
from imaging.input import ImageInput
from imaging.limits import DEFAULT, Limits
from imaging.picture import eight_bits

_GRAY, _COLOUR = ImageInput(1), ImageInput(1, channels=3)
_STEPS = 257  # a sample of 8 bits times this is the same shade in 16 bits


@dataclass(frozen=True)
class Opened:
    """A PNG or JPEG whose header was read; nothing is decoded yet."""

    width: int  # pixels, as stored
    height: int
    kind: str  # format and mode: "PNG L", "JPEG RGB"
    _image: ImageFile.ImageFile
    _orientation: int

    def load(self) -> "Original":
        """Decodes it. Can be called once.

        Raises:
            CorruptImage: the file is damaged.
        """
        try:
            self._image.load()
            image: Image.Image = self._image
            if not image.mode.startswith("I"):
                image = eight_bits(image, _GRAY if image.mode in ("1", "L") else _COLOUR)
            if self._orientation in decode._TURNS:
                image = image.transpose(decode._TURNS[self._orientation])
            return Original(image)
        except MemoryError:
            raise
        # See imaging.decode: a damaged file makes Pillow raise almost anything.
        except Exception as error:
            raise CorruptImage(f"The {self.kind.partition(' ')[0]} is damaged or cut off: {error}.") from error


@dataclass(frozen=True)
class Original:
    """A decoded picture, upright: gray of 8 or 16 bits, or colours of 8."""

    image: Image.Image

    def samples(self) -> np.ndarray:
        """uint8 or uint16 [H, W], or uint8 [H, W, 3]; what was saved with more channels or bits than it uses has none
        of them here, so that a copy saved in another form has the same samples."""
        found = np.asarray(self.image)
        if found.ndim == 3:
            gray = found[:, :, 0]
            same = np.array_equal(gray, found[:, :, 1]) and np.array_equal(gray, found[:, :, 2])
            return np.ascontiguousarray(gray) if same else found
        if found.dtype == np.uint8:
            return found
        wide = found.astype(np.uint16)
        return (wide // _STEPS).astype(np.uint8) if not (wide % _STEPS).any() else wide

    def top(self) -> int:
        """The brightest sample of a picture of 16 bits; 0 for one of 8."""
        return int(np.asarray(self.image).max()) if self.image.mode.startswith("I") else 0

    def gray(self, white: int) -> Image.Image:
        """The picture in 256 shades of gray; `white` is the 16-bit sample that is full white."""
        return eight_bits(self.image, replace(_GRAY, white=white))


def opened(data: bytes, limits: Limits = DEFAULT) -> Opened:
    """
    Raises:
        NotAnImage, UnsupportedFormat, ImageTooLarge, CorruptImage: as `pixels` does.
    """
    kind = decode._kind(data, limits)
    try:
        image, orientation = decode._open(data, kind, limits)
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise CorruptImage(f"The {kind} is damaged or cut off: {error}.") from error
    return Opened(*image.size, f"{kind} {image.mode}", image, orientation)
