"""What a model may want: colour, another way to a square, another white."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imaging import OBLONG, ImageInput, filled, pixels
from imaging.array import canonical, encode_png
from tests.unit.imaging.images import encoded, gradient

GRAY = gradient(90, 90)
COLOUR = np.dstack([GRAY, GRAY[::-1], GRAY[:, ::-1]])
RGB = ImageInput(32, channels=3)
REFERENCE = canonical(encoded(COLOUR), RGB).astype(int)


def test_an_input_says_the_shape_of_its_pixels():
    assert ImageInput(32).shape == (32, 32, 1)
    assert ImageInput(28, channels=3).shape == (28, 28, 3)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"size": 0}, "size of at least 1"),
        ({"size": 1.5}, "whole number for size"),
        ({"size": True}, "whole number for size"),
        ({"channels": 2}, "1 channel"),
        ({"channels": 4}, "1 channel"),
        ({"oblong": "squeeze"}, "stretch, pad, crop"),
        ({"white": 0}, "1 to 65535"),
        ({"white": 65536}, "1 to 65535"),
    ],
)
def test_an_input_that_does_not_exist_is_refused(fault, said):
    with pytest.raises(ValueError, match=said):
        ImageInput(**{"size": 8, **fault})


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_size_alone_is_the_gray_stretched_input(kind):
    data = encoded(gradient(70, 50), kind)
    assert pixels(data, 32) == pixels(data, ImageInput(32))


@given(st.integers(1, 40), st.sampled_from([1, 3]), st.sampled_from(["stretch", "pad", "crop"]), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_png_of_canonical_pixels_gives_them_back(size, channels, oblong, seed):
    wanted = ImageInput(size, channels, oblong)
    picture = np.random.default_rng(seed).integers(0, 256, wanted.shape, dtype=np.uint8)
    assert np.array_equal(canonical(encode_png(picture), wanted), picture)


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_a_gray_image_has_three_equal_channels_for_a_colour_model(mode):
    data = encoded(Image.fromarray(GRAY).convert(mode))
    for channel in range(3):
        assert np.array_equal(canonical(data, RGB)[:, :, channel], canonical(data, 32)[:, :, 0])


def test_16_bit_gray_has_three_equal_channels_for_a_colour_model():
    data = encoded(gradient(70, 50, 65536))
    assert np.array_equal(canonical(data, RGB), np.repeat(canonical(data, 32), 3, axis=2))


def test_colours_stay_colours_for_a_colour_model():
    assert tuple(canonical(encoded(Image.new("RGB", (9, 9), (200, 90, 3))), RGB)[4, 4]) == (200, 90, 3)
    palette = Image.new("P", (9, 9), 3)
    palette.putpalette([200, 90, 3] * 256)
    assert tuple(canonical(encoded(palette), RGB)[4, 4]) == (200, 90, 3)


def test_transparent_parts_turn_black_in_colour_too():
    assert canonical(encoded(Image.new("RGBA", (8, 8), (255, 250, 200, 0))), RGB).max() == 0
    half = canonical(encoded(Image.new("RGBA", (8, 8), (200, 100, 40, 51))), RGB)
    assert tuple(half[0, 0]) == (40, 20, 8)


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_in_colour_is_close_to_the_png(mode, progressive):
    smooth = Image.fromarray(COLOUR).convert(mode)
    data = encoded(smooth, "JPEG", quality=97, subsampling=0, progressive=progressive)
    assert np.abs(canonical(data, RGB).astype(int) - REFERENCE).mean() < 2.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 1), (8, -1)])
def test_exif_turn_is_undone_in_colour_too(kind, orientation, turns):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(np.rot90(COLOUR, turns)), kind, exif=exif)
    assert np.abs(canonical(data, RGB).astype(int) - REFERENCE).mean() < 6


@pytest.mark.parametrize("oblong", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_shrinking_a_large_jpeg_while_decoding_changes_less_than_a_gray_level(mode, oblong):
    noise = np.random.default_rng(0).normal(0, 12, (900, 2300, 3))
    picture = Image.fromarray(np.clip(gradient(900, 2300)[:, :, None] + noise, 0, 255).astype(np.uint8)).convert(mode)
    data = encoded(picture, "JPEG", quality=92)
    wanted = ImageInput(64, 3 if mode == "RGB" else 1, oblong)
    decoded_in_full = Image.open(io.BytesIO(data)).copy()
    expected = canonical(encoded(decoded_in_full), wanted).astype(int)
    assert np.abs(expected - canonical(data, wanted)).mean() < 1


def test_pad_keeps_the_whole_picture_between_black_bars():
    wide = canonical(encoded(np.full((20, 40), 200, np.uint8)), ImageInput(16, oblong="pad"))[:, :, 0]
    assert np.all(wide[4:12] == 200) and not wide[:4].any() and not wide[12:].any()
    tall = canonical(encoded(np.full((40, 20, 3), 200, np.uint8)), ImageInput(16, 3, "pad"))
    assert np.all(tall[:, 4:12] == 200) and not tall[:, :4].any() and not tall[:, 12:].any()


def test_pad_fills_the_square_as_stretch_would_fill_the_part():
    data = encoded(gradient(20, 40))
    part = np.asarray(Image.fromarray(gradient(20, 40)).resize((16, 8), Image.Resampling.BILINEAR))
    assert np.array_equal(canonical(data, ImageInput(16, oblong="pad"))[4:12, :, 0], part)


def test_crop_keeps_the_middle_square_and_nothing_beside_it():
    picture = np.full((20, 40), 255, np.uint8)
    picture[:, 10:30] = gradient(20, 20)
    expected = canonical(encoded(gradient(20, 20)), 16)
    for turned, upright in ((picture, expected), (picture.T, expected.transpose(1, 0, 2))):
        got = canonical(encoded(np.ascontiguousarray(turned)), ImageInput(16, oblong="crop"))
        assert np.abs(got.astype(int) - upright).max() <= 1


@pytest.mark.parametrize("oblong", ["pad", "crop"])
@pytest.mark.parametrize(("height", "width"), [(1, 3000), (3000, 1), (7, 8), (5, 5)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_any_shape_becomes_a_square(oblong, height, width, kind):
    wanted = ImageInput(16, 3, oblong)
    assert canonical(encoded(np.full((height, width), 9, np.uint8), kind), wanted).shape == (16, 16, 3)


@pytest.mark.parametrize("oblong", ["stretch", "pad", "crop"])
def test_a_square_picture_is_the_same_however_oblong_ones_become_square(oblong):
    assert pixels(encoded(COLOUR), ImageInput(32, 3, oblong)) == pixels(encoded(COLOUR), RGB)


@pytest.mark.parametrize("oblong", ["pad", "crop"])
def test_a_turned_picture_is_padded_and_cropped_upright(oblong):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = gradient(40, 80)
    turned = encoded(np.ascontiguousarray(np.rot90(upright)), exif=exif)
    assert pixels(turned, ImageInput(16, oblong=oblong)) == pixels(encoded(upright), ImageInput(16, oblong=oblong))


@pytest.mark.parametrize("white", [255, 1023, 4095, 16383, 65535])
def test_white_is_the_16_bit_sample_that_becomes_255(white):
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    wanted = [min(255, (value * 255 + white // 2) // white) for value in range(65536)]
    assert list(pixels(encoded(every), ImageInput(256, white=white))) == wanted
    assert list(pixels(encoded(every), ImageInput(256, 3, white=white)))[::3] == wanted


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "LA"])
def test_white_leaves_images_of_8_bits_alone(mode):
    data = encoded(Image.fromarray(GRAY).convert(mode))
    assert pixels(data, ImageInput(32, white=4095)) == pixels(data, 32)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_share_that_a_picture_fills_is_under_one_between_bars_alone(kind):
    data = encoded(gradient(20, 40), kind)
    assert [filled(data, ImageInput(16, oblong=oblong)) for oblong in OBLONG] == [1, 0.5, 1]
    assert filled(encoded(gradient(40, 40), kind), ImageInput(16, oblong="pad")) == 1
