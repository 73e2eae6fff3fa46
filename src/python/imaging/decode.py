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
from imaging.head import check_head
from imaging.input import ImageInput
from imaging.limits import DEFAULT, Limits
from imaging.picture import eight_bits, square, whole_size
from imaging.whole import check_jpeg, check_png

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
EXIF_ORIENTATION = 0x0112
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
    with opened(data, limits) as image:
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
        if isinstance(image, JpegImageFile):
            width, height = whole_size(image.size, wanted)
            image.draft("L" if wanted.channels == 1 else "RGB", (width * _SPARE, height * _SPARE))
        image.load()
        picture = eight_bits(image, wanted, _bands(data, image, wanted))
        if orientation in TURNS:
            picture = picture.transpose(TURNS[orientation])
        return square(picture, wanted).tobytes()


def filled(data: bytes, wanted: ImageInput | int, limits: Limits = DEFAULT) -> float:
    """The share of the square that the picture in `data` fills: under 1 where it has black bars.

    Raises:
        ImageError: as `pixels` does.
    """
    wanted = ImageInput.of(wanted)
    if wanted.oblong != "pad":
        return 1.0
    with opened(data, limits) as image:
        width, height = whole_size(image.size, wanted)
        return width * height / wanted.size**2


@contextmanager
def opened(data: bytes, limits: Limits) -> Iterator[ImageFile.ImageFile]:
    """The image, its header held against `limits` and its end found; whatever fails inside is an ImageError."""
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"The image has {len(data)} bytes; at most {limits.max_bytes} are accepted.")
    kind = kinds.accepted(data)
    check_head(data, kind, limits.max_parts)
    try:
        # The classes rather than Image.open: no other format can slip in, and our limits come instead of Pillow's.
        image = PngImageFile(io.BytesIO(data)) if kind == "PNG" else JpegImageFile(io.BytesIO(data))
        _check_header(image, limits)
        if kind == "PNG":
            check_png(data, limits.max_parts)
        else:
            check_jpeg(data, limits.max_scans, limits.max_parts)
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
