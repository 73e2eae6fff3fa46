"""The whole picture in a file, in all its pixels: to compare and to measure. What a model sees of it is `pixels`."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFile

from imaging import decode, wide
from imaging.errors import CorruptImage
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
    _data: bytes

    def load(self) -> "Original":
        """Decodes it. Can be called once.

        Raises:
            CorruptImage: the file is damaged.
        """
        try:
            orientation = self._image.getexif().get(decode.EXIF_ORIENTATION, 1)
            self._image.load()
            picture: Image.Image = self._image
            bands: list[Image.Image] = []
            if not picture.mode.startswith("I"):
                if self.kind.startswith("PNG") and wide.is_wide(self._data):
                    bands = wide.bands(self._data)
                picture = eight_bits(picture, _GRAY if picture.mode in ("1", "L") else _COLOUR)
            if orientation in decode.TURNS:
                picture, *bands = (one.transpose(decode.TURNS[orientation]) for one in (picture, *bands))
            return Original(picture, tuple(bands))
        except MemoryError:
            raise
        # See imaging.decode: a damaged file makes Pillow raise almost anything.
        except Exception as error:
            raise CorruptImage(f"The {self.kind.partition(' ')[0]} is damaged or cut off: {error}.") from error


@dataclass(frozen=True)
class Original:
    """A decoded picture, upright: gray of 8 or 16 bits, or colours of 8."""

    image: Image.Image
    # Gray, or red, green and blue, of 16 bits each, where a picture other than plain gray has so many.
    bands: tuple[Image.Image, ...] = ()

    def samples(self) -> np.ndarray:
        """uint8 or uint16 [H, W] or [H, W, 3]. What was saved with more channels or bits than it uses has none of them
        here, so that a copy saved in another form has the same samples."""
        found = np.stack([np.asarray(band) for band in self.bands], axis=2) if self.bands else np.asarray(self.image)
        if found.ndim == 3 and all(np.array_equal(found[:, :, 0], found[:, :, n]) for n in range(1, found.shape[2])):
            found = np.ascontiguousarray(found[:, :, 0])
        if found.dtype == np.uint8:
            return found
        deep = found.astype(np.uint16)
        return (deep // _STEPS).astype(np.uint8) if not (deep % _STEPS).any() else deep

    def top(self) -> int:
        """The brightest sample of a picture of 16 bits; 0 for one of 8."""
        deep = self.bands or ((self.image,) if self.image.mode.startswith("I") else ())
        return max((int(np.asarray(band).max()) for band in deep), default=0)

    def gray(self, white: int) -> Image.Image:
        """The picture in 256 shades of gray; `white` is the 16-bit sample that is full white."""
        return eight_bits(self.image, replace(_GRAY, white=white), self.bands)


def opened(data: bytes, limits: Limits = DEFAULT) -> Opened:
    """
    Raises:
        NotAnImage, UnsupportedFormat, ImageTooLarge, CorruptImage: as `pixels` does.
    """
    with decode.opened(data, limits) as image:
        return Opened(*image.size, f"{image.format} {image.mode}", image, data)
