"""PNG or JPEG bytes to the pixels that a model takes."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from imaging import kinds, wide
from imaging.errors import CorruptImage, ImageError, ImageTooLarge, UnsupportedFormat
from imaging.input import ImageInput
from imaging.limits import DEFAULT, Limits
from imaging.picture import eight_bits, square, whole_size
from imaging.whole import check_jpeg, check_png

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_ORIENTATION = 0x0112
# libjpeg may shrink a JPEG while decoding it, down to this many times the wanted size. Tests hold the difference
# from decoding in full under one gray level on average; a large radiograph decodes three times as fast.
_SPARE = 4
# Pillow warns of odd metadata, which nobody who sends or trains on an image can act on. Once and for the process:
# warnings.catch_warnings changes the filters of all threads, so only one image at a time could be opened.
warnings.filterwarnings("ignore", module=r"PIL\.")


def pixels(data: bytes, wanted: ImageInput | int, limits: Limits = DEFAULT) -> bytes:
    """The image in `data` as `wanted`: size*size pixels of `channels` bytes each, row by row; an int is a size.

    16-bit samples are rounded to 8 bits, transparent parts turn black, an EXIF turn is applied. For a gray model
    colours become their luma; for a colour model a gray image has three equal channels. An oblong picture becomes
    square as `wanted.oblong` says. What stands behind the image's end is passed over.

    Raises:
        NotAnImage, UnsupportedFormat, ImageTooLarge: told from the header, before a pixel is decoded.
        CorruptImage: the file is cut off or damaged.
    """
    wanted = ImageInput.of(wanted)
    with _opened(data, limits) as image:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
        if isinstance(image, JpegImageFile):
            width, height = whole_size(image.size, wanted)
            image.draft("L" if wanted.channels == 1 else "RGB", (width * _SPARE, height * _SPARE))
        image.load()
        picture = eight_bits(image, wanted, _bands(data, image, wanted))
        if orientation in _TURNS:
            picture = picture.transpose(_TURNS[orientation])
        return square(picture, wanted).tobytes()


def used_range(data: bytes, limits: Limits = DEFAULT) -> tuple[int, int] | None:
    """The lowest and the highest sample of an image with 16 bits a sample (0 to 65535); None for one with fewer.

    An image of 12 bits that was saved with 16 ends at 4095 or below, and is nearly black for who takes 65535 for
    white; `ImageInput.white` says what is.

    Raises:
        ImageError: as `pixels` does.
    """
    with _opened(data, limits) as image:
        if isinstance(image, JpegImageFile) or not wide.is_wide(data):
            return None
        extrema = [band.getextrema() for band in wide.bands(data)]
        return min(int(low) for low, _ in extrema), max(int(high) for _, high in extrema)  # type: ignore[arg-type]


@contextmanager
def _opened(data: bytes, limits: Limits) -> Iterator[ImageFile.ImageFile]:
    """The image, its header held against `limits` and its end found; whatever fails inside is an ImageError."""
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"The image has {len(data)} bytes; at most {limits.max_bytes} are accepted.")
    kind = kinds.accepted(data)
    try:
        # The classes rather than Image.open: no other format can slip in, and our limits come instead of Pillow's.
        image = PngImageFile(io.BytesIO(data)) if kind == "PNG" else JpegImageFile(io.BytesIO(data))
        _check_header(image, limits)
        if kind == "PNG":
            check_png(data)
        else:
            check_jpeg(data, limits.max_scans)
        yield image
    except (ImageError, MemoryError):
        raise
    # A damaged file makes Pillow raise almost anything: OSError, SyntaxError, struct.error, IndexError, ...
    except Exception as error:
        raise CorruptImage(f"The {kind} is damaged or cut off: {error}.") from error


def _check_header(image: ImageFile.ImageFile, limits: Limits) -> None:
    width, height = image.size
    if max(width, height) > limits.max_side:
        raise ImageTooLarge(f"The image is {width}x{height} pixels; a side may have at most {limits.max_side}.")
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"The image is {width}x{height} pixels; at most {limits.max_pixels} are accepted in all.")
    if getattr(image, "n_frames", 1) > 1:
        raise UnsupportedFormat("The image is animated; send a PNG or JPEG of a single frame.")


def _bands(data: bytes, image: ImageFile.ImageFile, wanted: ImageInput) -> list[Image.Image]:
    """The colours' own 16-bit samples where the upper half of their bits would not do; [] otherwise."""
    half_is_enough = wanted.white == ImageInput(1).white or image.mode.startswith("I")
    if half_is_enough or isinstance(image, JpegImageFile) or not wide.is_wide(data):
        return []
    return wide.bands(data)
