"""What is no image gets a clear refusal, what is no X-ray no certain answer, and the server goes on."""

import io
import random

import pytest
from PIL import Image, ImageDraw


def picture(kind, **options):
    data = io.BytesIO()
    Image.new("L", (64, 64), 127).save(data, kind, **options)
    return data.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"not an image", picture("PNG")[:60], picture("GIF")], ids=["empty", "text", "cut short", "gif"]
)
def test_what_is_no_png_or_jpeg_is_refused(data, classify, holdout):
    try:
        answer = classify(data)
    except Exception as error:
        # Anything else goes on as what it is: that nobody answers is no fault of the model.
        if type(error).__name__ != "BadImage":
            raise
    else:
        pytest.fail(f"expected a clean refusal, got {answer}")
    classify(holdout[0].image)


def blank(level):
    return Image.new("L", (299, 299), level)


def noise(seed):
    return Image.frombytes("L", (299, 299), random.Random(seed).randbytes(299 * 299))


def stripes(width):
    image = Image.new("L", (299, 299))
    for left in range(0, 299, 2 * width):
        ImageDraw.Draw(image).rectangle((left, 0, left + width - 1, 298), 255)
    return image


def disc(radius):
    image = Image.new("L", (299, 299), 230)
    ImageDraw.Draw(image).ellipse((150 - radius, 150 - radius, 150 + radius, 150 + radius), 20)
    return image


def text(words):
    image = Image.new("L", (299, 299), 255)
    for line in range(12):
        ImageDraw.Draw(image).text((12, 12 + 23 * line), words * 3, 0)
    return image


NO_XRAYS = {
    "blank": [blank(0), blank(127), blank(255)],
    "noise": [noise(1), noise(2), noise(3)],
    "drawings": [stripes(4), stripes(30), disc(40), disc(120), text("no chest here ")],
}


@pytest.mark.parametrize("kind", NO_XRAYS)
def test_pictures_that_are_no_xrays_get_no_certain_answer(kind, classify_all, budget):
    files = []
    for image in NO_XRAYS[kind]:
        data = io.BytesIO()
        image.save(data, "PNG")
        files.append(data.getvalue())
    answers = classify_all(files)
    sums = [sum(answer.scores.values()) for answer in answers]
    assert sums == pytest.approx([1] * len(sums), abs=1e-3), f"{kind}: probabilities sum to {sums}, not to 1"
    mean = sum(max(answer.scores.values(), default=0) for answer in answers) / len(answers)
    assert mean <= budget.max_confidence, (
        f"{kind}: a mean confidence of {mean:.3f} in pictures that are no X-rays; at most {budget.max_confidence:g}"
    )
