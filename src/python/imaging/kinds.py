"""What a file is, by its first bytes, whatever it is called; and what to do with what is neither PNG nor JPEG."""

import re
from collections.abc import Callable
from typing import Literal

from imaging.errors import NotAnImage, UnsupportedFormat

Kind = Literal["PNG", "JPEG"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_HEAD = 512  # bytes that are looked at
_CONVERT = "convert it to PNG"
_AGAIN = "get the image itself again"


def _begins(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(beginnings)


def _brand(*brands: bytes) -> Callable[[bytes], bool]:
    """The ISO container of HEIC, AVIF and videos names what it holds behind the word ftyp."""
    return lambda head: head[4:8] == b"ftyp" and head[8:12].lower() in brands


def _text(expression: bytes) -> Callable[[bytes], bool]:
    pattern = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:" + expression + rb")", re.IGNORECASE | re.DOTALL)
    return lambda head: pattern.match(head) is not None


# Name, how it is known, what to do. The first that fits.
_OTHERS: tuple[tuple[str, Callable[[bytes], bool], str], ...] = (
    ("a DICOM file", lambda head: head[128:132] == b"DICM", f"{_CONVERT} (for a dataset: dataset import)"),
    ("a HEIC", _brand(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "save it as a JPEG"),
    ("an AVIF", _brand(b"avif", b"avis"), "save it as a JPEG"),
    ("a video", lambda head: head[4:8] == b"ftyp", "send one picture of it"),
    ("a WebP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", _CONVERT),
    ("a TIFF", _begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _CONVERT),
    ("a GIF", _begins(b"GIF8"), _CONVERT),
    ("a BMP", _begins(b"BM"), _CONVERT),
    ("a JPEG 2000", _begins(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), _CONVERT),
    ("a JPEG XL", _begins(b"\0\0\0\x0cJXL ", b"\xff\x0a"), _CONVERT),
    ("a PDF", _begins(b"%PDF"), "save its picture as a PNG"),
    ("a Photoshop file", _begins(b"8BPS"), _CONVERT),
    ("an archive", _begins(b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!"), "unpack it"),
    ("a Git LFS pointer", _begins(b"version https://git-lfs"), f"{_AGAIN} (git lfs pull)"),
    ("a DVC pointer", _text(rb"(?:md5: \w+\s+)?outs:\s.*md5: "), f"{_AGAIN} (dvc pull)"),
    ("an SVG", _text(rb"(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?(?:<!DOCTYPE svg[^>]*>\s*)?<svg\b"), _CONVERT),
    ("a web page", _text(rb"<!DOCTYPE html|<html\b"), f"{_AGAIN}, its download ended at an error or a log-in page"),
    ("an XML document", _text(rb"<\?xml\b"), f"{_AGAIN}, its download may have ended with an error"),
)


def known(data: bytes) -> str | None:
    """What the file is, PNG, JPEG or another kind that has a name here; None for anything else."""
    if data.startswith(_PNG):
        return "PNG"
    if data.startswith(_JPEG):
        return "JPEG"
    head = data[:_HEAD]
    return next((name for name, fits, _ in _OTHERS if fits(head)), None)


def accepted(data: bytes) -> Kind:
    """PNG or JPEG.

    Raises:
        NotAnImage, UnsupportedFormat: it is neither; the second where it is known what it is instead.
    """
    if not data:
        raise NotAnImage("The image is empty: expected a PNG or a JPEG, received 0 bytes.")
    if data.startswith(_PNG):
        return "PNG"
    if data.startswith(_JPEG):
        return "JPEG"
    head = data[:_HEAD]
    for name, fits, advice in _OTHERS:
        if fits(head):
            raise UnsupportedFormat(f"The image is {name}; only PNG and JPEG are accepted: {advice}.")
    raise NotAnImage("This is not an image: expected a PNG or a JPEG.")
