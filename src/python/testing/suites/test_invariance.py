"""Changes that keep a picture's class turn few answers; which ones they are, the model says."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

MOST_IMAGES = 60
# Of what training changes at full strength: a mild change, which nobody may notice.
SHARE = 0.25
# By so much darker or brighter, where the model's brightness is that of an X-ray.
EXPOSURE = 0.1


def darker(picture, changes):
    return changes.brightness and ImageEnhance.Brightness(picture).enhance(1 - EXPOSURE * changes.brightness)


def brighter(picture, changes):
    return changes.brightness and ImageEnhance.Brightness(picture).enhance(1 + EXPOSURE * changes.brightness)


def mirrored(picture, changes):
    return changes.mirror and ImageOps.mirror(picture)


def turned(picture, changes):
    return changes.turn and moved(picture, degrees=SHARE * changes.turn)


def shifted(picture, changes):
    return changes.shift and moved(picture, shift=SHARE * changes.shift)


def larger(picture, changes):
    return changes.zoom and moved(picture, scale=np.exp(SHARE * changes.zoom))


def recompressed(picture, changes):
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=90)
    return Image.open(data)


def moved(picture, degrees=0.0, shift=0.0, scale=1.0):
    """Turned, moved by a share of its side and enlarged about its middle; its edge goes on into the gaps."""
    side = picture.size[0]
    edge = side // 4 + 1
    wide = Image.fromarray(np.pad(np.asarray(picture), [(edge, edge)] * 2 + [(0, 0)] * (picture.mode == "RGB"), "edge"))
    wide = wide.rotate(degrees, Image.Resampling.BILINEAR)
    near, far = edge + side * (1 - 1 / scale) / 2 + shift * side, side / scale
    return wide.transform(
        (side, side), Image.Transform.EXTENT, (near, near, near + far, near + far), Image.Resampling.BILINEAR
    )


CHANGES = [darker, brighter, shifted, turned, larger, mirrored, recompressed]


@pytest.mark.parametrize("change", CHANGES)
def test_answers_are_stable(change, changes, holdout, answers, as_seen, classify_all, budget):
    step = max(1, len(holdout) // MOST_IMAGES)
    before = answers[::step]
    changed = []
    for item in holdout[::step]:
        picture = change(Image.fromarray(as_seen(item.image)), changes)
        if not picture:
            pytest.skip(f"a picture that is {change.__name__} may be of another class to this model")
        data = io.BytesIO()
        picture.save(data, "PNG")
        changed.append(data.getvalue())
    after = classify_all(changed)
    flips = sum(a.label != b.label for a, b in zip(before, after, strict=True)) / len(before)
    too_many = (
        f"{flips:.0%} of {len(before)} answers change when a picture is {change.__name__}, and a share of "
        f"{budget.told('max_flips')} may; a change that can make another class of it is for [changes] of model.toml"
    )
    assert flips <= budget.max_flips, too_many
