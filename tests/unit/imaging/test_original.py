import io

import numpy as np
import pytest
from PIL import Image

from imaging import CorruptImage, ImageTooLarge, Limits, NotAnImage
from imaging.original import opened

GRAY = np.random.default_rng(0).integers(0, 256, (30, 20), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (30, 20, 3), dtype=np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **how) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_gray_picture_has_the_same_samples_in_every_form(mode):
    image = Image.fromarray(GRAY)
    data = saved(image.convert("RGB").quantize(256) if mode == "P" else image.convert(mode))
    samples = opened(data).load().samples()
    assert samples.dtype == np.uint8 and np.array_equal(samples, GRAY)


def test_sixteen_bits_stay_unless_eight_say_the_same():
    wide = GRAY.astype(np.uint16) * 257
    assert np.array_equal(opened(saved(Image.fromarray(wide))).load().samples(), GRAY)
    wide[3, 4] += 1
    original = opened(saved(Image.fromarray(wide))).load()
    assert original.samples().dtype == np.uint16 and np.array_equal(original.samples(), wide)
    assert original.top() == wide.max()
    assert opened(saved(Image.fromarray(GRAY))).load().top() == 0


def test_white_says_how_bright_sixteen_bits_are():
    dark = opened(saved(Image.fromarray((GRAY.astype(np.uint32) * 4095 // 255).astype(np.uint16)))).load()
    assert np.asarray(dark.gray(65535)).max() < 20
    assert np.abs(np.asarray(dark.gray(4095)).astype(int) - GRAY).max() <= 1


def test_colours_and_size_are_those_of_the_file():
    one = opened(saved(Image.fromarray(COLOUR)))
    assert (one.width, one.height, one.kind) == (20, 30, "PNG RGB")
    assert np.array_equal(one.load().samples(), COLOUR)
    jpeg = saved(Image.fromarray(COLOUR), "JPEG", quality=90)
    assert opened(jpeg).kind == "JPEG RGB"
    assert np.array_equal(opened(jpeg).load().samples(), np.asarray(Image.open(io.BytesIO(jpeg))))


def test_turned_picture_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(GRAY), "JPEG", quality=100, exif=exif)
    assert opened(data).load().samples().shape == (20, 30)


def test_header_is_held_against_limits_before_anything_is_decoded():
    with pytest.raises(ImageTooLarge):
        opened(saved(Image.fromarray(GRAY)), Limits(max_side=10))
    with pytest.raises(NotAnImage):
        opened(b"text")
    with pytest.raises(CorruptImage):
        opened(saved(Image.fromarray(GRAY))[:-20])
