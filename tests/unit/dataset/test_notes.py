import numpy as np
import pytest
from PIL import Image

from dataset import Limits, check
from dataset.notes import FEW
from imaging import ImageInput
from tests.unit.dataset.conftest import picture, save

GRAY, RGB = ImageInput(64), ImageInput(64, channels=3)


def notes(root, **how):
    return {one.kind: one for one in check(root, Limits(), **how).findings}


def colourful(seed):
    return Image.merge("RGB", [picture(seed * 3 + band) for band in range(3)])


@pytest.fixture
def root(tmp_path):
    for label in "AB":
        for number in range(20):
            save(picture(number + 500 * (label == "B"), 40), tmp_path / "data" / label / f"{number}.png")
    return tmp_path / "data"


def test_colours_are_noted_for_a_model_that_sees_gray_alone(root):
    for number in range(8):
        save(colourful(1000 + number), root / "A" / f"colour{number}.png")
    finding = notes(root, wanted=GRAY)["colour"]
    assert not finding.refused
    assert '8 of 48 images are in colour, and the model sees shades of gray; channels = "rgb"' in finding.message
    assert "colour" not in notes(root, wanted=RGB)
    assert "colour" not in notes(root)


def test_gray_pictures_saved_in_colour_and_a_few_coloured_ones_are_no_colour_data(root):
    for number in range(20):
        save(picture(number, 40).convert("RGB"), root / "A" / f"{number}.png")
    save(colourful(1), root / "A" / "one.png")
    assert "colour" not in notes(root, wanted=GRAY)


def test_sixteen_bits_that_use_twelve_are_noted_with_the_white_that_fits(root):
    for number in range(20):
        wide = np.asarray(picture(number, 40)).astype(np.uint16) * 16
        save(Image.fromarray(wide), root / "A" / f"{number}.png")
    finding = notes(root, wanted=GRAY)["range"]
    assert "20 images have 16 bits a sample and use 6.2% of the range (up to 4080 of 65535)" in finding.message
    assert "white = 4095 under [input]" in finding.message
    assert "range" not in notes(root, wanted=ImageInput(64, white=4095))


def test_sixteen_bits_in_full_are_not_noted(root):
    for number in range(20):
        save(Image.fromarray(np.asarray(picture(number, 40)).astype(np.uint16) * 257 + 1), root / "A" / f"{number}.png")
    assert "range" not in notes(root, wanted=GRAY)


def test_side_with_few_images_of_a_class_is_noted_up_to_the_limit(root, monkeypatch):
    from dataset import notes as module

    finding = notes(root)["few"]
    assert not finding.refused
    counts = check(root, Limits()).dataset.statistics["splits"]
    assert f"{counts['train']['A']} 'A' to train on" in finding.message or counts["train"]["A"] >= FEW
    assert f"{counts['test']['A']} 'A' to test by" in finding.message or "more" in finding.message
    assert "Under 20 of a class on one side, its figures are mostly chance" in finding.message
    fewest = min(count for by_class in counts.values() for count in by_class.values())
    monkeypatch.setattr(module, "FEW", fewest)
    assert "few" not in notes(root)
    monkeypatch.setattr(module, "FEW", fewest + 1)
    assert "few" in notes(root)
