"""The invariance tests change pictures as the model's record allows, in the colours that the model sees."""

import io

import numpy as np
import pytest
from PIL import Image

from contracts.record import InputUsed
from imaging.array import canonical
from serving.client import Prediction
from testing.subject import Labelled, changes_of, input_of
from testing.suites import test_invariance as suite
from tests.unit.testing.records import budget, record

SIZE = 64
NONE = {"mirror": False, "turn": 0, "shift": 0, "zoom": 0, "brightness": 0}


def picture(mode="L"):
    """A PNG, brighter to the right and lower down; in colour its green goes the other way."""
    ramp = np.add.outer(np.arange(SIZE), np.arange(SIZE)) * 2 * (257 if mode == "I;16" else 1)
    if mode == "RGB":
        ramp = np.stack([ramp, ramp[::-1], 0 * ramp], axis=2)
    image = Image.fromarray(ramp.astype(np.uint16 if mode == "I;16" else np.uint8))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def asked(change, mode="L", turns=False, **changes):
    """What the suite asks about instead of `picture(mode)`, as the model sees it, before and after; all answers turn
    where `turns`."""
    tested = record(2, ["a", "b"], parameters={"changes": NONE | changes})
    if mode == "RGB":
        tested = tested.model_copy(update={"input": InputUsed(size=SIZE, channels=3)})
    else:
        tested = tested.model_copy(update={"image_size": SIZE})
    seen, files = input_of(tested), []

    def as_seen(image):
        pixels = canonical(image, seen)
        return pixels if seen.channels == 3 else pixels[:, :, 0]

    def classify_all(images):
        files.extend(images)
        return [Prediction("b" if turns else "a", {}, 2)] * len(images)

    image = picture(mode)
    suite.test_answers_are_stable(
        change,
        changes_of(tested),
        [Labelled("x.png", image, "a")],
        [Prediction("a", {}, 2)],
        as_seen,
        classify_all,
        budget(),
    )
    return as_seen(image).astype(int), as_seen(files[0]).astype(int)


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        (suite.mirrored, "mirror", True),
        (suite.turned, "turn", 12),
        (suite.shifted, "shift", 0.1),
        (suite.larger, "zoom", 0.2),
        (suite.darker, "brightness", 1),
        (suite.brighter, "brightness", 1),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_change_is_tested_where_it_keeps_the_class_and_left_out_where_not(change, name, value, mode):
    before, after = asked(change, mode, **{name: value})
    assert before.shape == after.shape and np.abs(before - after).max() > 1
    with pytest.raises(pytest.skip.Exception, match="may be of another class to this model"):
        asked(change, mode)


def test_mirrored_picture_is_the_mirror_image():
    before, after = asked(suite.mirrored, mirror=True)
    assert (after == before[:, ::-1]).all()


def test_shift_is_a_quarter_of_the_models_share_of_the_side_and_leaves_no_black_edge():
    before, after = asked(suite.shifted, shift=0.25)  # a quarter of it: 4 of 64 pixels
    assert (after[:-4, :-4] == before[4:, 4:]).all()
    assert (after[-4:, -4:] == before[-1, -1]).all()


def test_turn_is_a_quarter_of_the_models():
    before, after = asked(suite.turned, turn=40)
    expected = np.asarray(Image.fromarray(before.astype(np.uint8)).rotate(10, Image.Resampling.BILINEAR)).astype(int)
    inner = slice(SIZE // 4, -SIZE // 4)
    assert np.abs(after[inner, inner] - expected[inner, inner]).max() <= 2


def test_colours_stay_colours():
    before, after = asked(suite.recompressed, "RGB")
    assert np.abs(before - after).mean() < 4
    assert after[0, 0, 1] > 100 > after[0, 0, 0]


def test_sixteen_bits_are_not_cut_off():
    before, after = asked(suite.recompressed, "I;16")
    assert np.abs(before - after).mean() < 4 and after.max() > 200 > 60 > after.min()


def test_answers_that_turn_fail_the_model():
    with pytest.raises(
        AssertionError, match=r"100% of 1 answers change when a picture is mirrored, .* 0\.15 .*\[changes\]"
    ):
        asked(suite.mirrored, turns=True, mirror=True)


def test_record_of_before_models_could_say_is_of_x_rays():
    allowed = changes_of(record(1, ["a"], parameters={"network": {"width": 16}}))
    assert (allowed.mirror, allowed.turn, allowed.shift, allowed.brightness) == (True, 12, 0.08, 1)
