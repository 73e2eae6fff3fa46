"""What requests say of the switches that happened while they ran."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from testkit.load import Request

# A server goes on unloading what is not served any more after a switch is over; that belongs to the switch.
AFTERMATH = 2.0  # seconds
_CLOSE = 1e-4


@dataclass(frozen=True)
class Switch:
    """One promotion or rollback; times are the machine's monotonic clock, in seconds."""

    action: str
    version: int
    began: float
    # From when on the new version could answer: the golden requests were right, the label moved.
    released: float
    # When every pod had said that it answers with the new version.
    announced: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def holds(self, request: Request) -> bool:
        return self.began <= request.due <= self.ended + AFTERMATH


@dataclass(frozen=True)
class Account:
    requests: int
    failed: list[Request]
    # Answers that name no version, or give other probabilities than the version they name.
    unnamed: list[Request]
    wrong: list[Request]
    # Sent after a switch was announced and answered by a version before it, or answered by one not released yet.
    stale: list[Request]
    # p99 in seconds.
    steady: float
    inside: float
    inside_requests: int
    windows: list[float]


def account(
    requests: Sequence[Request],
    first: int,
    switches: Sequence[Switch],
    expected: Mapping[int, Sequence[Mapping[str, float]]],
) -> Account:
    """`first` is the version before the first switch; `expected` is version -> image -> class -> probability."""
    answered = [request for request in requests if not request.error]
    inside = [request for request in answered if any(switch.holds(request) for switch in switches)]
    steady = [request for request in answered if not any(switch.holds(request) for switch in switches)]
    named = [request for request in answered if request.version is not None]
    served = _served(first, switches)
    return Account(
        requests=len(requests),
        failed=[request for request in requests if request.error],
        unnamed=[request for request in answered if request.version is None],
        wrong=[request for request in named if not _right(request, expected)],
        stale=[request for request in named if not any(_within(request, *span) for span in served)],
        steady=p99(request.seconds for request in steady),
        inside=p99(request.seconds for request in inside),
        inside_requests=len(inside),
        windows=[p99(request.seconds for request in inside if switch.holds(request)) for switch in switches],
    )


def p99(values: Iterable[float]) -> float:
    """The smallest value that 99 of 100 do not exceed; NaN without any."""
    ordered = sorted(values)
    return ordered[math.ceil(0.99 * len(ordered)) - 1] if ordered else math.nan


def _served(first: int, switches: Sequence[Switch]) -> list[tuple[int, float, float]]:
    """(version, from when, until when) it may answer; at a switch the two overlap."""
    ends = [switch.announced for switch in switches] + [math.inf]
    begins = [(first, -math.inf), *((switch.version, switch.released) for switch in switches)]
    return [(version, begin, end) for (version, begin), end in zip(begins, ends, strict=True)]


def _within(request: Request, version: int, begin: float, end: float) -> bool:
    return request.version == version and begin <= request.received and request.sent <= end


def _right(request: Request, expected: Mapping[int, Sequence[Mapping[str, float]]]) -> bool:
    if request.version not in expected:
        return False
    scores = expected[request.version][request.image]
    return scores.keys() == request.scores.keys() and all(
        abs(request.scores[label] - value) <= _CLOSE for label, value in scores.items()
    )
