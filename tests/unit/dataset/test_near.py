import io

import numpy as np
import pytest
from PIL import Image

from dataset import Limits, check, scan
from dataset.facts import measure
from dataset.near import MOST_BITS, near_pairs
from dataset.split import Split
from tests.unit.dataset.conftest import picture, png, save


def prints(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return measure(stream.getvalue(), "", 65535).prints


def compressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=40)
    return Image.open(stream)


COPIES = {
    "compressed": compressed,
    "smaller": lambda image: image.resize((150, 150), Image.Resampling.BILINEAR),
    "larger": lambda image: image.resize((700, 700), Image.Resampling.BICUBIC),
    "oblong": lambda image: image.resize((400, 300)),
    "turned left": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "turned right": lambda image: image.rotate(-2, Image.Resampling.BICUBIC),
    "brighter": lambda image: image.point(lambda level: min(255, level * 1.1)),
}


@pytest.mark.parametrize("change", COPIES)
def test_changed_copy_is_near_and_other_pictures_are_not(change):
    images = [picture(seed, 300) for seed in range(8)]
    originals = [prints(image) for image in images]
    assert near_pairs(originals) == []
    copies = [prints(COPIES[change](image)) for image in images]
    assert near_pairs([*originals, *copies]) == [(place, place + 8) for place in range(8)]


def test_pairs_are_those_that_a_plain_comparison_finds():
    random = np.random.default_rng(0)
    base = random.integers(0, 256, (1, 3, 32), dtype=np.uint8)
    # In clouds, so that some are within the limit and some just beyond it.
    rows = np.repeat(base, 150, 0)
    for row in rows:
        for turned in row:
            for bit in random.integers(0, 256, random.integers(0, 14)):
                turned[bit // 8] ^= 1 << (bit % 8)
    bits = np.unpackbits(rows, axis=2)
    apart = np.stack([(bits[:, None, 0] != bits[None, :, k]).sum(2) for k in range(3)]).min(0)
    near = (apart <= MOST_BITS) | (apart.T <= MOST_BITS)
    wanted = [(i, j) for i in range(150) for j in range(i + 1, 150) if near[i, j]]
    assert 0 < len(wanted) < 150 * 149 / 2
    assert near_pairs([row.tobytes() for row in rows]) == wanted


def test_pictures_that_show_too_little_are_near_to_none(tmp_path):
    blank, small = Image.new("L", (200, 200), 90), picture(1, 24)
    assert prints(blank) == prints(small) == b""
    assert near_pairs([b"", prints(picture(1)), b""]) == []


def dataset_of(root, count=12):
    for label in "AB":
        for number in range(count):
            save(picture(number + 1000 * (label == "B")), root / label / f"{number}.png")
    return root


def kinds(checked):
    return {one.kind: one for one in checked.findings if one.kind != "few"}


def test_near_copies_of_one_class_are_told_and_on_one_side(tmp_path):
    root = dataset_of(tmp_path)
    for number in range(12):
        save(compressed(picture(number)), root / "A" / f"copy{number}.jpg")
    checked = check(root, Limits())
    finding = kinds(checked)["near-duplicate"]
    assert not finding.refused and finding.message.startswith("24 images look nearly the same as others of their class")
    side = {image.path.stem: image.split for image in checked.dataset.images if image.label == "A"}
    assert all(side[str(number)] == side[f"copy{number}"] for number in range(12))
    # Without the rule some would be apart.
    own = {image.path.stem: Split().side(image.sha256) for image in checked.dataset.images if image.label == "A"}
    assert any(own[str(number)] != own[f"copy{number}"] for number in range(12))


def test_near_copies_of_two_classes_are_a_note_and_no_refusal(tmp_path):
    root = dataset_of(tmp_path)
    save(picture(3).rotate(2, Image.Resampling.BICUBIC), root / "B" / "turned.png")
    checked = check(root, Limits())
    finding = kinds(checked)["near-conflict"]
    assert not finding.refused and "2 images look nearly the same as one of another class" in finding.message
    assert {one.path.name for one in finding.offenders} == {"3.png", "turned.png"}


def test_pictures_that_are_all_alike_are_split_each_by_itself_and_said(tmp_path):
    """A camera that never moves: nearness tells nothing, and must not put all of them on one side."""
    random = np.random.default_rng(0)
    for label in "AB":
        for number in range(40):
            noisy = np.asarray(picture(7), int) + random.integers(-3, 4, (96, 96))
            save(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), tmp_path / label / f"{number}.png")
    checked = check(tmp_path, Limits())
    assert "80 images are so much alike" in kinds(checked)["alike"].message
    assert all(image.split == Split().side(image.sha256) for image in checked.dataset.images)


def test_picture_that_differs_beyond_the_thumbnail_is_no_conflict(tmp_path):
    """Two pictures that agree at 64x64 pixels and differ in a detail are two pictures."""
    root = dataset_of(tmp_path)
    board = np.zeros((1024, 1024), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    save(Image.fromarray(board), root / "A" / "board.png")
    save(Image.fromarray(255 - board), root / "B" / "board.png")
    assert "conflict" not in kinds(check(root, Limits()))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_large_jpeg_saved_anew_as_png_in_another_class_is_a_conflict(tmp_path, mode):
    root = dataset_of(tmp_path)
    original = save(picture(5, 1024).convert(mode), root / "A" / "large.jpg", quality=90)
    save(Image.open(original), root / "B" / "anew.png")
    finding = kinds(check(root, Limits()))["conflict"]
    assert finding.refused
    # In one class it is a duplicate.
    (root / "B" / "anew.png").rename(root / "A" / "anew.png")
    found = kinds(check(root, Limits()))
    assert "conflict" not in found and "1 of 26 files are copies" in found["duplicate"].message


def test_forms_of_one_picture_are_the_same_pixels(tmp_path):
    root = dataset_of(tmp_path)
    gray = picture(77)
    wide = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    for place, form in enumerate((gray, gray.convert("RGB"), gray.convert("RGBA"), gray.convert("LA"), wide)):
        save(form, root / "A" / f"form{place}.png")
    assert scan(root, 0.0).counts() == {"A": 13, "B": 12}


def test_small_pictures_are_compared_by_their_pixels_alone(root):
    (root / "COVID" / "near.png").write_bytes(png(5)[:-12] + png(5)[-12:])
    assert "near-duplicate" not in kinds(check(root, Limits()))
