"""What is neither PNG nor JPEG is refused by its name, with what to do about it."""

import io

import pytest
from PIL import Image

from imaging import NotAnImage, UnsupportedFormat, pixels
from imaging.kinds import known
from tests.unit.imaging.images import LFS, encoded, gradient

DVC = b"outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  size: 0\n  path: x.png\n"
OTHERS = [
    (bytes(128) + b"DICM" + b"\x02\0\0\0UL", "DICOM", "dataset import"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC", "save it as a JPEG"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC", "save it as a JPEG"),
    (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF", "save it as a JPEG"),
    (b"\0\0\0\x20ftypisom\0\0\0\0isomiso2", "video", "one picture of it"),
    (b"II+\0\x08\0\0\0", "TIFF", "convert it to PNG"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", "convert it to PNG"),
    (b"\xff\x4f\xff\x51\0\x29", "JPEG 2000", "convert it to PNG"),
    (b"\xff\x0a\xff\x07", "JPEG XL", "convert it to PNG"),
    (b"%PDF-1.7\n", "PDF", "as a PNG"),
    (b"8BPS\0\x01", "Photoshop", "convert it to PNG"),
    (b"PK\x03\x04\x14\0", "archive", "unpack it"),
    (b"\x1f\x8b\x08\0", "archive", "unpack it"),
    (LFS, "Git LFS pointer", "git lfs pull"),
    (DVC, "DVC pointer", "dvc pull"),
    (b"md5: 0123abc\n" + DVC, "DVC pointer", "dvc pull"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", "convert it to PNG"),
    (b"<?xml version='1.0'?>\n<svg/>", "SVG", "convert it to PNG"),
    (b"\n <!doctype HTML><html><body>Sign in", "web page", "its download ended"),
    (b"\xef\xbb\xbf<html lang='en'>404", "web page", "its download ended"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML", "its download may have ended"),
]


@pytest.mark.parametrize(("data", "name", "advice"), OTHERS)
def test_other_kinds_are_named_with_what_to_do(data, name, advice):
    with pytest.raises(UnsupportedFormat) as refused:
        pixels(data, 32)
    said = str(refused.value)
    assert name in said and advice in said and "only PNG and JPEG are accepted" in said and said.endswith(".")
    assert name in (known(data) or "")


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP"])
def test_formats_that_pillow_writes_are_named(kind):
    with pytest.raises(UnsupportedFormat, match=f"(?i){kind}.*convert it to PNG"):
        pixels(encoded(gradient(90, 90), kind), 32)


def test_an_avif_as_it_is_written_is_named():
    file = io.BytesIO()
    Image.fromarray(gradient(90, 90)).convert("RGB").save(file, "AVIF")
    with pytest.raises(UnsupportedFormat, match="AVIF"):
        pixels(file.getvalue(), 32)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\xff\xd8", b"\x89PNG", bytes(100), bytes(200), b"name,label\n1,COVID\n", b"RIFF\0\0\0\0WAVE",
     b"outs of order", b'{"error": "not found"}'],
)  # fmt: skip
def test_what_is_no_image_is_told_so(data):
    with pytest.raises(NotAnImage):
        pixels(data, 32)
    assert known(data) is None


def test_an_image_is_known_by_its_bytes():
    assert (known(encoded(gradient(9, 9))), known(encoded(gradient(9, 9), "JPEG"))) == ("PNG", "JPEG")
