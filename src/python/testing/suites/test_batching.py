"""An image gets the same answer alone and in company."""

import pytest

MOST_IMAGES = 16


def test_answers_do_not_depend_on_the_batch(holdout, answers, classify_at_once):
    step = max(1, len(holdout) // MOST_IMAGES)
    alone, images = answers[::step][:MOST_IMAGES], [item.image for item in holdout[::step]][:MOST_IMAGES]
    together = classify_at_once(images)
    assert len(together) == len(images), f"{len(images)} images asked at once get {len(together)} answers"
    for one, in_company in zip(alone, together, strict=True):
        assert in_company.scores == pytest.approx(one.scores, abs=1e-5), (
            f"an image is answered {one.scores} alone and {in_company.scores} in a batch of {len(images)}"
        )


def test_answers_do_not_change_from_call_to_call(holdout, answers, classify):
    for item, before in list(zip(holdout, answers, strict=True))[:MOST_IMAGES]:
        again = classify(item.image)
        assert again.scores == pytest.approx(before.scores, abs=1e-5), (
            f"the same image is answered {before.scores} once and {again.scores} the next time"
        )
