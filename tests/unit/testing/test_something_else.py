"""Pictures of something else are no example of a class, whatever the classes look like."""

import numpy as np
import pytest
from PIL import Image

from dataset.phantom import CLASSES, draw
from serving.client import Prediction
from testing.something_else import KINDS, pictures
from testing.suites import test_robustness as suite
from tests.unit.testing.records import budget

SIZE = 32


def digits():
    from sklearn.datasets import load_digits

    drawn = [Image.fromarray((one * 15).astype(np.uint8)).resize((SIZE, SIZE)) for one in load_digits().images[::6]]
    return np.stack([np.asarray(image) for image in drawn])[:, :, :, None]


def phantoms():
    drawn = [draw(label, np.random.default_rng([5, n])) for label in CLASSES for n in range(8)]
    small = [np.asarray(Image.fromarray(image).convert("L").resize((SIZE, SIZE))) for image in drawn]
    return np.stack(small)[:, :, :, None]


def textures():
    """Grain, fine and coarse, in colour: pieces of it in another order are grain as well."""
    random = np.random.default_rng(1)
    fine = random.integers(100, 150, (20, SIZE, SIZE, 3), np.uint8)
    coarse = random.integers(100, 150, (20, SIZE // 4, SIZE // 4, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    return np.concatenate([fine, coarse])


@pytest.mark.parametrize("images", [digits, phantoms], ids=["digits", "phantoms"])
def test_every_kind_is_there_and_far_from_every_image(images):
    held_out = images()
    made = pictures(held_out)
    assert list(made) == list(KINDS) == suite.KINDS
    for kind, found in made.items():
        assert len(found) >= 3, kind
        assert found.shape[1:] == held_out.shape[1:] and found.dtype == np.uint8
    again = pictures(held_out)
    assert all((made[kind] == again[kind]).all() for kind in KINDS)


def test_images_of_the_classes_are_never_something_else(monkeypatch):
    """Were the pieces left in their places, or the phases as they are, the pictures would be examples."""
    monkeypatch.setattr("testing.something_else._shuffled", lambda image, random: image)
    monkeypatch.setattr("testing.something_else._scrambled", lambda image, random: np.roll(image, 1, axis=0))
    made = pictures(digits())
    assert (len(made["shuffled pieces"]), len(made["scrambled shapes"])) == (0, 0)


def test_what_may_be_an_example_of_a_class_is_left_out():
    made = pictures(textures())
    assert (len(made["shuffled pieces"]), len(made["scrambled shapes"])) == (0, 0)
    assert len(made["noise"]) == 8 and made["noise"].shape[3] == 3
    # A class that is of one brightness, as an empty slide is.
    empty = np.random.default_rng(2).integers(185, 197, (40, SIZE, SIZE, 1), np.uint8)
    brightness = {int(picture[0, 0, 0]) for picture in pictures(np.concatenate([phantoms(), empty]))["blank"]}
    assert 191 not in brightness and {0, 64} <= brightness


def asked(held_out, certainty):
    """Runs the suite on a model that is as sure as told of each picture."""
    made = pictures(held_out)
    for kind in suite.KINDS:
        answers = [Prediction("a", {"a": certainty, "b": 1 - certainty}, 1)] * len(made[kind])
        suite.test_pictures_of_something_else_get_no_certain_answer(kind, made, lambda _, a=answers: a, budget())


@pytest.mark.parametrize("images", [digits, phantoms], ids=["digits", "phantoms"])
def test_model_that_is_sure_of_everything_fails_and_one_that_is_not_passes(images):
    asked(images(), 0.9)
    with pytest.raises(AssertionError, match=r"blank: a mean confidence of 0\.999 in out-of-distribution pictures"):
        asked(images(), 0.999)


def test_kind_without_pictures_is_skipped_and_says_why():
    with pytest.raises(pytest.skip.Exception, match="shuffled pieces: nothing of this kind is surely no example"):
        asked(textures(), 0.9)
