"""Counters and histograms under TensorFlow Serving's names, in Prometheus' text format.

Not prometheus-client: it adds "_total" to the name of every counter, and dashboards made for TensorFlow Serving ask for
":tensorflow:serving:request_count".
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Sequence

_LATENCY_BUCKETS = [10 * 1.8**power for power in range(33)]  # microseconds
MAX_MODEL_NAMES, MAX_NAME_LENGTH = 1000, 1000
Labels = tuple[str, ...]


class Counter:
    """A number for each combination of label values."""

    def __init__(self, name: str, label_names: Sequence[str]) -> None:
        self.name = name
        self._label_names = label_names
        self._values: dict[Labels, int] = {}
        self._lock = threading.Lock()

    def add(self, *labels: str) -> None:
        """Count one more."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + 1

    def total(self) -> int:
        """The sum over all labels."""
        with self._lock:
            return sum(self._values.values())

    def lines(self) -> list[str]:
        """Prometheus text."""
        with self._lock:
            values = sorted(self._values.items())
        rows = [f"{_name(self.name)}{{{_labels(self._label_names, labels)}}} {value}" for labels, value in values]
        return [f"# TYPE {_name(self.name)} counter", *rows]


class Histogram:
    """How often a value fell into each bucket, for each combination of label values."""

    def __init__(
        self, name: str, label_names: Sequence[str], bounds: Sequence[float] = tuple(_LATENCY_BUCKETS)
    ) -> None:
        self.name = name
        self._label_names = label_names
        self._bounds = bounds
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def observe(self, value: float, *labels: str) -> None:
        """Take note of `value`."""
        with self._lock:
            counts = self._counts.setdefault(labels, [0] * (len(self._bounds) + 1))
            counts[bisect.bisect_left(self._bounds, value)] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + value

    def total(self) -> int:
        """How many values, over all labels."""
        with self._lock:
            return sum(map(sum, self._counts.values()))

    def lines(self) -> list[str]:
        """Prometheus text; buckets are cumulative."""
        name = _name(self.name)
        rows = [f"# TYPE {name} histogram"]
        with self._lock:
            counted = [(labels, list(counts), self._sums[labels]) for labels, counts in sorted(self._counts.items())]
        for labels, counts, total in counted:
            text = _labels(self._label_names, labels)
            below = 0
            for bound, count in zip([*map("{:g}".format, self._bounds), "+Inf"], counts, strict=True):
                below += count
                rows.append(f'{name}_bucket{{{text},le="{bound}"}} {below}')
            rows += [f"{name}_sum{{{text}}} {total:.10g}", f"{name}_count{{{text}}} {below}"]
        return rows


class Metrics:
    """All of a server's metrics."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self.requests = Counter("/tensorflow/serving/request_count", ["model_name", "status"])
        self.request_latency = Histogram("/tensorflow/serving/request_latency", ["model_name", "API", "entrypoint"])
        self.runtime_latency = Histogram("/tensorflow/serving/runtime_latency", ["model_name", "API", "runtime"])
        self._all: list[Counter | Histogram] = [self.requests, self.request_latency, self.runtime_latency]

    def request(self, model: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Take note of one request; of its time only if it was answered, as the original does."""
        model = self._series(model)
        self.requests.add(model, status)
        if status == "OK":
            self.request_latency.observe(seconds * 1e6, model, api, entrypoint)

    def _series(self, model: str) -> str:
        """The name as a label: names that clients make up are counted too, but must not fill the memory."""
        if model not in self._names:
            if len(self._names) >= MAX_MODEL_NAMES or len(model) > MAX_NAME_LENGTH:
                return "other"
            self._names.add(model)
        return model

    def runtime(self, model: str, api: str, seconds: float) -> None:
        """Take note of one run of a model, which is what TensorFlow itself took of a request."""
        self.runtime_latency.observe(seconds * 1e6, model, api, "TF1")

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return ("\n".join(line for metric in self._all for line in metric.lines()) + "\n").encode()

    def total(self, name: str) -> int | None:
        """The sum of the metric `name` ("/tensorflow/serving/request_count"), None when there is none such."""
        return next((metric.total() for metric in self._all if metric.name == name), None)


def _name(path: str) -> str:
    return "".join(char if char.isalnum() and char.isascii() else ":" if char == "/" else "_" for char in path)


def _labels(names: Sequence[str], values: Labels) -> str:
    pairs = zip(names, values, strict=True)
    return ",".join(f'{_label_name(name)}="{_escaped(value)}"' for name, value in pairs)


def _label_name(name: str) -> str:
    return "".join(char if char.isalnum() and char.isascii() else "_" for char in name)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
