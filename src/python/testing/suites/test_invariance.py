"""Changes of a picture that mean nothing to a radiologist turn few answers."""

import io

import pytest
from PIL import Image, ImageEnhance

MOST_IMAGES = 60


def darker(image):
    return ImageEnhance.Brightness(image).enhance(0.9)


def brighter(image):
    return ImageEnhance.Brightness(image).enhance(1.1)


def shifted(image):
    return image.transform(image.size, Image.Transform.AFFINE, (1, 0, 2, 0, 1, 2))


def turned(image):
    return image.rotate(3, Image.Resampling.BILINEAR)


def recompressed(image):
    data = io.BytesIO()
    image.save(data, "JPEG", quality=90)
    return Image.open(data)


@pytest.mark.parametrize("change", [darker, brighter, shifted, turned, recompressed])
def test_answers_are_stable(change, holdout, answers, classify_all, budget):
    step = max(1, len(holdout) // MOST_IMAGES)
    before = answers[::step]
    changed = []
    for item in holdout[::step]:
        data = io.BytesIO()
        change(Image.open(io.BytesIO(item.image)).convert("L")).save(data, "PNG")
        changed.append(data.getvalue())
    after = classify_all(changed)
    flips = sum(a.label != b.label for a, b in zip(before, after, strict=True)) / len(before)
    assert flips <= budget.max_flips, f"{flips:.0%} of {len(before)} answers turn when a picture is {change.__name__}"
