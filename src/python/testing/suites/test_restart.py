"""A restart of the model server changes nothing: no state is lost, none is needed."""

import pytest

MOST_IMAGES = 8


def test_answers_are_the_same_after_a_restart(holdout, answers, classify, restart):
    restart()
    for item, before in list(zip(holdout, answers, strict=True))[:MOST_IMAGES]:
        after = classify(item.image)
        assert after.version == before.version, f"version {before.version} answered before, {after.version} after"
        assert after.scores == pytest.approx(before.scores, abs=1e-5), (
            f"an image is answered {before.scores} before a restart and {after.scores} after it"
        )
