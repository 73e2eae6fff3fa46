"""What the adapter counts, for Prometheus."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import grpc
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Summary,
    generate_latest,
)
from prometheus_client.openmetrics import exposition as openmetrics

from serving.adapter import logs, spans
from serving.adapter.admission import Admission
from serving.adapter.backend import Scores
from serving.adapter.predictor import Answer
from serving.adapter.refusals import ExplanationBusy, Overloaded, Refusal, TooManyImages

# Seconds: a small network answers in 5 ms, a full-size radiograph on a busy machine in a second.
_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
_CERTAINTIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# The version of a request that was refused before one was chosen.
_NO_VERSION = "none"
_requests = logging.getLogger(logs.REQUESTS)
# What REST requests are counted under, however the model was addressed: a name that a client makes up is no series.
CLASSIFY, EXPLAIN, INFER = "POST /v1/classify", "POST /v1/explain", "POST /v2/infer"
_OPENMETRICS = "application/openmetrics-text"


@dataclass
class Observed:
    """One request, while it is being worked on."""

    version: str = _NO_VERSION
    code: grpc.StatusCode = field(default=grpc.StatusCode.OK)


class Metrics:
    """Counters and latencies per version; each Metrics has a registry of its own."""

    def __init__(self, admission: Admission) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "trainyard_requests", "Requests answered.", ["method", "version", "code"], registry=self.registry
        )
        self._seconds = Histogram(
            "trainyard_request_seconds",
            "Time from a request's arrival to its answer.",
            ["method", "version"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._predictions = Counter(
            "trainyard_predictions",
            "Images classified, by most probable class.",
            ["version", "label"],
            registry=self.registry,
        )
        # Sums and counts of both are what drift is told by (src/python/monitoring/population.py).
        self._certainty = Histogram(
            "trainyard_certainty",
            "Probability of the most probable class.",
            ["version"],
            buckets=_CERTAINTIES,
            registry=self.registry,
        )
        self._brightness = Summary(
            "trainyard_brightness",
            "Mean luma of an image, 0 to 255, without black bars.",
            ["version"],
            registry=self.registry,
        )
        self._refused = Counter(
            "trainyard_images_refused", "Images that could not be classified.", ["code"], registry=self.registry
        )
        # Apart from requests' codes: a request that is too large has the same one.
        self._turned_away = Counter(
            "trainyard_requests_turned_away", "Requests refused for lack of room.", registry=self.registry
        )
        in_flight = Gauge("trainyard_requests_in_flight", "Requests being worked on.", registry=self.registry)
        in_flight.set_function(lambda: admission.in_flight)
        self._stable = Gauge(
            "trainyard_stable_version", "The version served by default; 0 if there is none.", registry=self.registry
        )

    @contextmanager
    def request(self, method: str) -> Iterator[Observed]:
        """Counts and times the request that is answered inside; `method` is its gRPC or REST name."""
        observed = Observed()
        begin = perf_counter()
        try:
            yield observed
        except Refusal as refusal:
            self._note(observed, refusal)
            raise
        except asyncio.CancelledError:
            # The client went away, or its deadline passed.
            observed.code = grpc.StatusCode.CANCELLED
            raise
        finally:
            self._over(method, observed, perf_counter() - begin)

    def refused(self, method: str, refusal: Refusal, seconds: float) -> None:
        """Counts a request that was refused after so many seconds."""
        observed = Observed()
        self._note(observed, refusal)
        self._over(method, observed, seconds)

    def _note(self, observed: Observed, refusal: Refusal) -> None:
        observed.code = refusal.code
        if isinstance(refusal, Overloaded) and not isinstance(refusal, TooManyImages | ExplanationBusy):
            # More pods would help; not so who has used up its own share, or wants what others leave.
            self._turned_away.inc()

    def _over(self, method: str, observed: Observed, seconds: float) -> None:
        self._requests.labels(method, observed.version, observed.code.name).inc()
        self._seconds.labels(method, observed.version).observe(seconds, spans.exemplar())
        spans.counted(method, observed.version, observed.code.name)
        if _requests.isEnabledFor(logging.INFO):
            _tell(method, observed, seconds)

    def answered(self, observed: Observed, answer: Answer) -> None:
        """Notes which version answered, and what it said."""
        observed.version = str(answer.version)
        for outcome in answer.outcomes:
            if isinstance(outcome, Scores):
                label, probability = outcome.ranked()[0]
                self._predictions.labels(observed.version, label).inc()
                self._certainty.labels(observed.version).observe(probability, spans.exemplar())
            else:
                self._refused.labels(outcome.code.name).inc()
        for brightness in answer.brightness:
            self._brightness.labels(observed.version).observe(brightness)

    def stable(self, version: int) -> None:
        self._stable.set(version)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def exposition(self, accepted: str) -> tuple[bytes, str]:
        """What was counted, and its content type: for who accepts OpenMetrics that, with exemplars."""
        if _OPENMETRICS in accepted:
            return openmetrics.generate_latest(self.registry), openmetrics.CONTENT_TYPE_LATEST
        return self.text(), CONTENT_TYPE_LATEST


def _tell(method: str, observed: Observed, seconds: float) -> None:
    milliseconds = round(seconds * 1000, 1)
    told = {"method": method, "version": observed.version, "code": observed.code.name, "milliseconds": milliseconds}
    _requests.info("%s %s in %s ms", method, observed.code.name, milliseconds, extra={"fields": told})
