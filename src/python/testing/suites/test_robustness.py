"""What is no image gets a clear refusal, a picture of something else no certain answer, and the server goes on."""

import io

import pytest
from PIL import Image


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


# As testing/something_else.py makes them of the held-out images.
KINDS = ["blank", "noise", "shuffled pieces", "scrambled shapes"]


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_something_else_get_no_certain_answer(kind, something_else, classify_all, budget):
    if not len(something_else[kind]):
        pytest.skip(f"{kind}: nothing of this kind is surely no example of a class")
    answers = classify_all(something_else[kind])
    sums = [sum(answer.scores.values()) for answer in answers]
    assert sums == pytest.approx([1] * len(sums), abs=1e-3), f"{kind}: probabilities sum to {sums}, not to 1"
    mean = sum(max(answer.scores.values(), default=0) for answer in answers) / len(answers)
    assert mean <= budget.max_confidence, (
        f"{kind}: a mean confidence of {mean:.3f} in out-of-distribution pictures; at most {budget.max_confidence:g}"
    )
