"""An image ends where it says, whatever stands behind; one that does not get there is refused."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from imaging import DEFAULT, CorruptImage, ImageError, ImageTooLarge, Limits, area, pixels
from tests.unit.imaging.images import chunk, encoded, gradient, png_claiming

GRAY = gradient(90, 90)
MEBIBYTE = 1 << 20


def jpeg(**options):
    return encoded(Image.fromarray(GRAY).convert("RGB"), "JPEG", **options)


def noise(size, seed=0):
    return np.random.default_rng(seed).bytes(size)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [1, 1000, MEBIBYTE, 8 * MEBIBYTE])
def test_what_stands_behind_a_jpeg_is_passed_over(progressive, size):
    data = jpeg(progressive=progressive)
    for seed in range(5 if size < 8 * MEBIBYTE else 1):
        assert pixels(data + noise(size, seed), 32) == pixels(data, 32)


@pytest.mark.parametrize("behind", [b"\xff\xda" * 500, b"\xff\xd8\xff\xda\xff\xd9", b"\xff\xd9"])
def test_markers_behind_the_end_count_for_nothing(behind):
    data = jpeg(progressive=True)
    assert pixels(data + behind, 32) == pixels(data, 32)


def test_scans_in_a_comment_or_a_thumbnail_count_for_nothing():
    data = jpeg()
    thumbnail = b"\xff\xfe" + (2 + 600).to_bytes(2, "big") + b"\xff\xda" * 299 + b"\xff\xd9"
    assert pixels(data[:2] + thumbnail + data[2:], 32, Limits(max_scans=1)) == pixels(data, 32)


def test_too_many_scans_are_refused_wherever_a_forged_end_stands():
    data = jpeg(progressive=True)
    scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    assert data.endswith(b"\xff\xd9")
    with pytest.raises(ImageTooLarge, match="100 scans"):
        pixels(data[:-2] + scan * 100 + b"\xff\xd9", 32)


@pytest.mark.parametrize("progressive", [False, True])
def test_no_part_of_a_jpeg_is_a_whole_one(progressive):
    data = jpeg(progressive=progressive)
    for end in range(0, len(data), 7):
        with pytest.raises(ImageError):
            pixels(data[:end], 16)
    with pytest.raises(CorruptImage, match="cut off"):
        pixels(data[:-2], 16)


def test_an_end_in_a_thumbnail_is_not_the_end_of_the_jpeg():
    data = jpeg()
    thumbnail = b"\xff\xe1\0\x08\xff\xda\xff\xd9\0\0"
    with pytest.raises(CorruptImage, match="cut off"):
        pixels(data[:2] + thumbnail + data[2:-2], 16)


def test_fill_bytes_before_markers_are_read_over():
    data = jpeg()
    filled = data[:2] + b"\xff\xff" + data[2:-2] + b"\xff\xff\xff\xd9"
    assert pixels(filled, 32) == pixels(data, 32)


def test_a_long_run_of_one_byte_is_read_once():
    with pytest.raises(CorruptImage):
        pixels(jpeg()[:-2] + b"\xff" * (4 * MEBIBYTE) + b"\0", 16)


@pytest.mark.parametrize("behind", [b"\0", noise(1000), encoded(GRAY)])
def test_what_stands_behind_a_png_is_passed_over(behind):
    assert pixels(encoded(GRAY) + behind, 32) == pixels(encoded(GRAY), 32)


def test_an_end_marker_inside_a_chunk_is_not_the_end_of_the_png():
    data, end = encoded(GRAY), chunk(b"IEND", b"")
    commented = data[:33] + chunk(b"tEXt", b"x\0" + end) + data[33:]
    assert pixels(commented, 32) == pixels(data, 32)
    with pytest.raises(CorruptImage, match="cut off"):
        pixels(commented[: -len(end)], 32)


def limited(parts):
    return replace(DEFAULT, max_parts=parts)


@pytest.mark.parametrize("place", [33, -12])
def test_chunks_are_counted_before_and_behind_the_pixels(place):
    data = encoded(GRAY)
    chunks = data.count(b"IDAT") + 2
    more = data[:place] + chunk(b"teSt", b"") * 10 + data[place:]
    assert pixels(more, 32, limited(chunks + 10)) == pixels(data, 32)
    with pytest.raises(ImageTooLarge, match="chunks"):
        pixels(more, 32, limited(chunks + 9 if place < 0 else 10))


def test_segments_are_counted():
    data = jpeg()
    more = data[:2] + b"\xff\xfe\0\x02" * 100 + data[2:]
    assert pixels(more, 32, limited(200)) == pixels(data, 32)
    with pytest.raises(ImageTooLarge, match="segments"):
        pixels(more, 32, limited(100))


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\xd0"])
def test_what_stands_between_segments_has_a_bound(filling):
    data = jpeg()
    with pytest.raises(ImageTooLarge, match="between"):
        pixels(data[:2] + filling * 100_000 + data[2:], 32)


def test_the_area_is_that_of_the_header():
    height, width = GRAY.shape
    assert area(encoded(GRAY)) == area(jpeg()) == height * width
    assert area(png_claiming(70_000, 70_000)) == 70_000**2
    assert area(b"") == area(b"hello") == area(b"\xff\xd8\xff") == 0
