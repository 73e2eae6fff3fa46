"""What the benchmark of promotions counts as wrong."""

import math

import pytest

from testkit.load import Request
from testkit.windows import Switch, account, p99

SCORES = {1: [{"a": 0.9, "b": 0.1}], 2: [{"a": 0.2, "b": 0.8}]}
# Version 2 may answer from 12 on and must from 14 on.
SWITCH = Switch("promote", 2, began=10, released=12, announced=14, ended=15)


def request(sent: float, version: int | None, seconds: float = 0.1, **fields: object) -> Request:
    scores = SCORES[version][0] if version else {}
    return Request(sent, sent, sent + seconds, "gRPC", 0, 0, version, dict(scores), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "stale"),
    [
        (request(5, 1), False),
        (request(5, 2), True),
        (request(11.5, 2), True),
        (request(11.95, 2), False),  # answered when it might be
        (request(13, 1), False),
        (request(13, 2), False),
        (request(13.95, 1, seconds=1), False),  # asked before it was announced
        (request(14.01, 1), True),
        (request(20, 2), False),
    ],
)
def test_answer_is_stale_if_its_version_may_not_answer_then(one: Request, stale: bool) -> None:
    assert account([one], 1, [SWITCH], SCORES).stale == ([one] if stale else [])


def test_failed_unnamed_and_wrong_answers_are_counted() -> None:
    failed, unnamed = request(1, None, error="Unavailable"), request(1, None)
    wrong = request(1, 1)
    wrong.scores = dict(SCORES[2][0])
    found = account([failed, unnamed, wrong, request(2, 1)], 1, [SWITCH], SCORES)
    assert (found.failed, found.unnamed, found.wrong, found.requests) == ([failed], [unnamed], [wrong], 4)


def test_requests_of_a_window_are_measured_apart_and_from_when_they_were_due() -> None:
    late = Request(11, 12, 13, "REST", 0, 0, 1, dict(SCORES[1][0]))
    found = account([request(1, 1), late, request(16.5, 2, seconds=0.5)], 1, [SWITCH], SCORES)
    assert (found.steady, found.inside, found.inside_requests) == (pytest.approx(0.1), 2, 2)
    assert found.windows == [2]


def test_p99_is_a_measured_value() -> None:
    assert p99(range(1, 101)) == 99
    assert p99([3]) == 3
    assert math.isnan(p99([]))
