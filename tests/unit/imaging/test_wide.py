"""PNGs of 16 bits a sample: the white level holds for colours too, and the brightest sample can be asked."""

import numpy as np
import pytest
from PIL import Image

from imaging import ImageInput
from imaging.array import canonical
from imaging.original import opened
from tests.unit.imaging.images import encoded, gradient, wide_png

CHANNELS = [1, 2, 3, 4]  # gray, gray and alpha, colour, colour and alpha


def samples(channels, most, opaque=True):
    """uint16 [32, 32, channels] up to `most`; an alpha that lets everything be seen."""
    values = np.random.default_rng(channels).integers(0, most + 1, (32, 32, channels)).astype(np.uint16)
    if channels in (2, 4) and opaque:
        values[:, :, -1] = 65535
    return values


def rounded(values, white):
    return np.minimum(255, (values.astype(np.int64) * 255 + white // 2) // white).astype(np.uint8)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("white", [1023, 4095])
def test_white_is_the_sample_that_becomes_255_in_every_kind_of_png(channels, white):
    values = samples(channels, 4200)
    colours = values[:, :, : 1 if channels < 3 else 3]
    got = canonical(wide_png(values), ImageInput(32, 3, white=white))
    assert np.array_equal(got, np.broadcast_to(rounded(colours, white), got.shape))


@pytest.mark.parametrize("channels", CHANNELS)
def test_the_usual_white_is_all_16_bits(channels):
    values = samples(channels, 65535)
    got = canonical(wide_png(values), ImageInput(32, 3)).astype(int)
    expected = rounded(values[:, :, : 1 if channels < 3 else 3], 65535).astype(int)
    assert np.abs(got - expected).max() <= (0 if channels == 1 else 1)


def test_transparent_parts_turn_black_whatever_is_white():
    values = samples(4, 4095)
    values[:16, :, 3] = 0
    got = canonical(wide_png(values), ImageInput(32, 3, white=4095))
    assert not got[:16].any() and np.array_equal(got[16:], rounded(values[16:, :, :3], 4095))


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("most", [0, 1023, 4095, 65535])
def test_the_brightest_sample_is_told(channels, most):
    values = samples(channels, most)
    values[0, 0, 0] = most
    assert opened(wide_png(values)).load().top() == most


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "LA", "RGBA"])
def test_images_of_8_bits_have_none_of_16(mode):
    assert opened(encoded(Image.fromarray(gradient(30, 30)).convert(mode))).load().top() == 0
