"""PNG or JPEG bytes to the pixels that a model takes."""

import io
import threading
import warnings

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from imaging.errors import CorruptImage, ImageError, ImageTooLarge, NotAnImage, UnsupportedFormat
from imaging.input import ImageInput
from imaging.limits import DEFAULT, Limits
from imaging.picture import eight_bits, square, whole_size

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
_JPEG = b"\xff\xd8\xff"
_OTHERS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WebP",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"%PDF": "PDF",
}
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
# warnings.catch_warnings changes the whole process, so only one thread at a time may.
_quiet = threading.Lock()


def pixels(data: bytes, wanted: ImageInput | int, limits: Limits = DEFAULT) -> bytes:
    """The image in `data` as `wanted`: size*size pixels of `channels` bytes each, row by row; an int is a size.

    16-bit samples are rounded to 8 bits, transparent parts turn black, an EXIF turn is applied. For a gray model
    colours become their luma; for a colour model a gray image has three equal channels. An oblong picture becomes
    square as `wanted.oblong` says.

    Raises:
        NotAnImage, UnsupportedFormat, ImageTooLarge: told from the header, before a pixel is decoded.
        CorruptImage: the file is cut off or damaged.
    """
    wanted = ImageInput.of(wanted)
    kind = _kind(data, limits)
    try:
        image, orientation = _open(data, kind, limits)
        if kind == "JPEG":
            width, height = whole_size(image.size, wanted)
            image.draft("L" if wanted.channels == 1 else "RGB", (width * _SPARE, height * _SPARE))
        image.load()
        picture = eight_bits(image, wanted)
        if orientation in _TURNS:
            picture = picture.transpose(_TURNS[orientation])
        return square(picture, wanted).tobytes()
    except (ImageError, MemoryError):
        raise
    # A damaged file makes Pillow raise almost anything: OSError, SyntaxError, struct.error, IndexError, ...
    except Exception as error:
        raise CorruptImage(f"The {kind} is damaged or cut off: {error}.") from error


def _kind(data: bytes, limits: Limits) -> str:
    if not data:
        raise NotAnImage("The image is empty: expected a PNG or a JPEG, received 0 bytes.")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"The image has {len(data)} bytes; at most {limits.max_bytes} are accepted.")
    if data.startswith(_PNG):
        return "PNG"
    if data.startswith(_JPEG):
        return "JPEG"
    for magic, name in _OTHERS.items():
        if data.startswith(magic):
            raise UnsupportedFormat(f"The image is a {name}; only PNG and JPEG are accepted.")
    raise NotAnImage("This is not an image: expected a PNG or a JPEG.")


def _open(data: bytes, kind: str, limits: Limits) -> tuple[ImageFile.ImageFile, int]:
    """The image with its header read and held against `limits`, and its EXIF orientation (1 to 8; 1 is upright)."""
    with _quiet, warnings.catch_warnings():
        # Pillow warns of odd metadata, which nobody who sends or trains on an image can act on.
        warnings.simplefilter("ignore")
        # The classes rather than Image.open: no other format can slip in, and our limits come instead of Pillow's.
        image = PngImageFile(io.BytesIO(data)) if kind == "PNG" else JpegImageFile(io.BytesIO(data))
        _check_header(image, limits)
        _check_whole(data, kind, limits)
        return image, image.getexif().get(_EXIF_ORIENTATION, 1)


def _check_header(image: ImageFile.ImageFile, limits: Limits) -> None:
    width, height = image.size
    if max(width, height) > limits.max_side:
        raise ImageTooLarge(f"The image is {width}x{height} pixels; a side may have at most {limits.max_side}.")
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"The image is {width}x{height} pixels; at most {limits.max_pixels} are accepted in all.")
    if getattr(image, "n_frames", 1) > 1:
        raise UnsupportedFormat("The image is animated; send a PNG or JPEG of a single frame.")


def _check_whole(data: bytes, kind: str, limits: Limits) -> None:
    """Refuses a file that ends early, even where Pillow could fill in the rest."""
    if kind == "PNG":
        # Checks every chunk's checksum up to the end marker; spends the object, hence one of its own.
        PngImageFile(io.BytesIO(data)).verify()
        if _PNG_END not in data:
            raise CorruptImage("The PNG is cut off: its end marker is missing.")
        return
    # Inside pixel data 0xff is always followed by 0x00 or a restart marker, so these are true markers.
    last_scan, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    if last_scan < 0 or end < last_scan:
        raise CorruptImage("The JPEG is cut off: its end marker is missing.")
    if data.count(b"\xff\xda") > limits.max_scans:
        raise ImageTooLarge(f"The JPEG has more than {limits.max_scans} scans; save it again as a plain JPEG.")
