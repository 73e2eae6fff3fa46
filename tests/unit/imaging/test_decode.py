import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imaging import (
    ImageError,
    ImageTooLarge,
    Limits,
    UnsupportedFormat,
    decode,
    pixels,
)
from imaging.array import canonical, encode_png
from tests.unit.imaging.images import chunk, encoded, gradient, png_claiming

GRAY = gradient(90, 90)
REFERENCE = canonical(encoded(GRAY), 32).astype(int)


def far_from_reference(pixels: np.ndarray) -> float:
    """Mean difference in gray levels."""
    return float(np.abs(pixels.astype(int) - REFERENCE).mean())


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_png_of_canonical_pixels_gives_them_back(size, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 1), dtype=np.uint8)
    assert np.array_equal(canonical(encode_png(pixels), size), pixels)


@pytest.mark.parametrize("size", [1, 32, 160])
def test_any_size_gives_one_gray_channel(size):
    pixels = canonical(encoded(gradient(70, 50)), size)
    assert pixels.shape == (size, size, 1)
    assert pixels.dtype == np.uint8


def test_pixels_and_array_are_the_same_row_by_row():
    data = encoded(gradient(70, 50))
    assert isinstance(pixels(data, 32), bytes)
    assert pixels(data, 32) == canonical(data, 32).tobytes()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "PA"])
def test_gray_png_in_another_mode_keeps_its_pixels(mode):
    image = Image.fromarray(GRAY).convert(mode if mode != "PA" else "P")
    assert far_from_reference(canonical(encoded(image), 32)) == 0


def test_16_bit_png_keeps_its_pixels():
    assert far_from_reference(canonical(encoded(GRAY.astype(np.uint16) * 257), 32)) == 0


def test_each_16_bit_value_becomes_the_nearest_of_8_bits():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert list(pixels(encoded(every), 256)) == [(value + 128) // 257 for value in range(65536)]


def test_one_bit_png_is_black_and_white():
    pixels = canonical(encoded(Image.fromarray((GRAY > 100).astype(np.uint8) * 255).convert("1")), 90)
    assert np.array_equal(pixels[:, :, 0] == 255, GRAY > 100)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_of_any_colour_space_is_close_to_the_png(mode, progressive):
    data = encoded(Image.fromarray(GRAY).convert(mode), "JPEG", quality=95, progressive=progressive)
    assert far_from_reference(canonical(data, 32)) < 1.5


def test_colours_become_luma():
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    assert canonical(encoded(red), 8).max() == 76


def test_transparent_parts_turn_black():
    image = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    assert canonical(encoded(image), 8).max() == 0
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette([255] * 768)
    assert canonical(encoded(palette, transparency=3), 8).max() == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turn_is_undone(kind, orientation):
    # What a viewer shows upright is the gradient; the file holds it turned.
    turned = {
        1: GRAY, 2: GRAY[:, ::-1], 3: GRAY[::-1, ::-1], 4: GRAY[::-1],
        5: GRAY.T, 6: np.rot90(GRAY), 7: np.rot90(GRAY.T, 2), 8: np.rot90(GRAY, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(turned), kind, exif=exif)
    assert far_from_reference(canonical(data, 32)) < 2


def test_shrinking_a_large_jpeg_while_decoding_changes_less_than_a_gray_level():
    noise = np.random.default_rng(0).normal(0, 12, (900, 1100))
    picture = np.clip(gradient(900, 1100) + noise, 0, 255).astype(np.uint8)
    whole = Image.open(io.BytesIO(encoded(picture, "JPEG", quality=92)))
    expected = np.asarray(whole.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    got = canonical(encoded(picture, "JPEG", quality=92), 64)[:, :, 0].astype(int)
    assert np.abs(expected - got).mean() < 1
    assert np.abs(expected - got).max() <= 6


def test_animated_png_is_refused():
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    data = encoded(frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedFormat, match="animated"):
        canonical(data, 32)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_each_limit_holds_on_both_sides(kind):
    data = encoded(gradient(30, 50), kind)
    for limits in (Limits(max_bytes=len(data)), Limits(max_pixels=1500), Limits(max_side=50)):
        assert canonical(data, 8, limits).shape == (8, 8, 1)
    for limits in (Limits(max_bytes=len(data) - 1), Limits(max_pixels=1499), Limits(max_side=49)):
        with pytest.raises(ImageTooLarge):
            canonical(data, 8, limits)


def test_too_many_jpeg_scans_are_refused():
    data = encoded(Image.fromarray(GRAY).convert("RGB"), "JPEG", progressive=True)
    scans = data.count(b"\xff\xda")
    assert scans > 1
    assert canonical(data, 8, Limits(max_scans=scans)).shape == (8, 8, 1)
    with pytest.raises(ImageTooLarge, match="scans"):
        canonical(data, 8, Limits(max_scans=scans - 1))


@pytest.mark.parametrize(("width", "height"), [(10_001, 1), (9_000, 9_000), (2**31 - 1, 2**31 - 1)])
def test_bomb_is_refused_by_its_header(width, height):
    with pytest.raises(ImageTooLarge):
        canonical(png_claiming(width, height), 32)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_no_proper_prefix_of_an_image_is_accepted(kind):
    data = encoded(gradient(24, 24), kind)
    for end in range(len(data)):
        with pytest.raises(ImageError):
            canonical(data[:end], 16)


def test_changed_byte_in_a_png_is_noticed():
    data = encoded(gradient(40, 40))
    for place in range(8, len(data)):
        broken = bytearray(data)
        broken[place] ^= 0x10
        with pytest.raises(ImageError):
            canonical(bytes(broken), 16)


@given(st.sampled_from(["PNG", "JPEG"]), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=20))
@settings(deadline=None, max_examples=300)
def test_damaged_image_is_pixels_or_a_typed_error(kind, changes):
    data = bytearray(encoded(gradient(40, 40), kind))
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    try:
        assert canonical(bytes(data), 16).shape == (16, 16, 1)
    except ImageError as error:
        assert str(error).endswith(".")


def test_nothing_is_warned_about_odd_metadata(tmp_path):
    data = encoded(GRAY)
    # An empty animation and a damaged EXIF block: Pillow warns of both.
    odd = data[:33] + chunk(b"acTL", bytes(8)) + chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x05abc") + data[33:]
    (tmp_path / "odd.png").write_bytes(odd)
    for program in (
        "import io, sys, PIL.Image; PIL.Image.open(io.BytesIO(sys.stdin.buffer.read())).getexif()",
        "import sys, imaging; imaging.pixels(sys.stdin.buffer.read(), 32)",
    ):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ended = subprocess.run(
            [sys.executable, "-W", "always", "-c", program], input=odd, capture_output=True, env=environment, check=True
        )
        assert (b"Warning" in ended.stderr) == ("PIL.Image.open" in program)


def test_a_picture_that_is_being_read_holds_up_no_other(monkeypatch):
    slow, fast = encoded(GRAY[::-1]), encoded(GRAY)
    read, begun, go_on = decode.check_png, threading.Event(), threading.Event()

    def wait_in_the_slow_one(data, most):
        if data == slow:
            begun.set()
            assert go_on.wait(30)
        read(data, most)

    monkeypatch.setattr(decode, "check_png", wait_in_the_slow_one)
    thread = threading.Thread(target=canonical, args=(slow, 32))
    thread.start()
    assert begun.wait(30)
    assert canonical(fast, 32).shape == (32, 32, 1)
    assert thread.is_alive()
    go_on.set()
    thread.join(30)


def test_threads_get_the_same_pixels():
    data, results = encoded(GRAY), []
    threads = [threading.Thread(target=lambda: results.append(canonical(data, 32))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(results) == 8
    assert all(np.array_equal(result, results[0]) for result in results)


def test_size_below_one_is_our_own_mistake():
    with pytest.raises(ValueError, match="size"):
        canonical(encoded(GRAY), 0)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_only_bytes_of_one_or_three_channels_are_encoded(pixels):
    with pytest.raises(ValueError, match="uint8"):
        encode_png(pixels)
