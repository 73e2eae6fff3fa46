"""Served answers are those that were recorded when the model was exported."""

import base64

import pytest


def test_golden_requests_get_the_recorded_answers(candidate, classify):
    assert candidate.golden, "the record holds no golden requests"
    for golden in candidate.golden:
        served = classify(base64.b64decode(golden.image))
        assert len(golden.probabilities) == len(candidate.labels), "a golden request has not one answer for every class"
        recorded = dict(zip(candidate.labels, golden.probabilities, strict=True))
        assert served.scores == pytest.approx(recorded, abs=1e-5), f"served {served.scores}, recorded {recorded}"
