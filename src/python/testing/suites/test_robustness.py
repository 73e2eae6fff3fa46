"""What is no image gets a clear refusal, and the server goes on."""

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


@pytest.mark.parametrize("level", [0, 127, 255])
def test_blank_pictures_are_answered(level, classify):
    data = io.BytesIO()
    Image.new("L", (299, 299), level).save(data, "PNG")
    assert sum(classify(data.getvalue()).scores.values()) == pytest.approx(1, abs=1e-3)
