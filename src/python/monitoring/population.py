"""Whether recent images resemble those that a version was tested on: classes, confidence, brightness.

Classes are compared by the population stability index (Siddiqi, Credit Risk Scorecards, 2006): under 0.1 nothing moved,
over 0.25 much did. By chance alone it is about (1/n + 1/m) times a chi-square of one degree less than there are classes
(Yurdakul and Naranjo, Statistical properties of the population stability index, 2020): few images prove nothing.
Mean confidence is compared with that on the held-out images.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families

from contracts.record import Record

# A class that is seen once in a while must not make the index infinite.
_PSEUDO_COUNT = 0.5
# So rarely is chance alone taken for drift.
_CHANCE = 0.001


class Allowed(Protocol):
    @property
    def max_psi(self) -> float: ...
    @property
    def max_certainty_loss(self) -> float: ...
    @property
    def max_brightness_shift(self) -> float: ...


@dataclass(frozen=True)
class Seen:
    """Images that a version answered: how many as each class, sums of its certainty and of their mean gray levels."""

    labels: Mapping[str, float] = field(default_factory=dict)
    certainty: float = 0.0
    brightness: float = 0.0

    @property
    def images(self) -> float:
        return sum(self.labels.values())

    def __add__(self, other: "Seen") -> "Seen":
        labels = dict(Counter(self.labels) + Counter(other.labels))
        return Seen(labels, self.certainty + other.certainty, self.brightness + other.brightness)

    def since(self, earlier: "Seen") -> "Seen":
        """What came after `earlier`; all, where the counts began anew."""
        if any(self.labels.get(label, 0) < count for label, count in earlier.labels.items()):
            return self
        labels = {label: count - earlier.labels.get(label, 0) for label, count in self.labels.items()}
        return Seen(labels, self.certainty - earlier.certainty, self.brightness - earlier.brightness)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def of_metrics(text: str, version: int) -> Seen:
    """What an adapter's metrics tell of one version. Raises ValueError where they are no metrics."""
    labels: dict[str, float] = {}
    sums = {"trainyard_certainty_sum": 0.0, "trainyard_brightness_sum": 0.0}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get("version") != str(version):
                continue
            if sample.name == "trainyard_predictions_total":
                labels[sample.labels["label"]] = sample.value
            elif sample.name in sums:
                sums[sample.name] = sample.value
    return Seen(labels, *sums.values())


def stability_index(expected: Mapping[str, float], found: Mapping[str, float]) -> tuple[float, float]:
    """The index of two counts by class, and what chance alone hardly ever exceeds with so many images."""
    names = sorted(expected.keys() | found.keys())
    before, now = ([counts.get(name, 0.0) + _PSEUDO_COUNT for name in names] for counts in (expected, found))
    m, n = sum(before), sum(now)
    index = math.fsum((q / n - p / m) * math.log((q / n) / (p / m)) for p, q in zip(before, now, strict=True))
    return index, (1 / n + 1 / m) * _chi_square(max(len(names) - 1, 1))


def drifts(record: Record, seen: Seen, allowed: Allowed) -> Iterator[str]:
    """A sentence for each thing in which `seen` does not resemble the test data of `record`, as far as that tells."""
    test = record.metrics.test
    if test:
        expected = held_out(record)
        index, chance = stability_index(expected, seen.labels)
        if index > max(allowed.max_psi, chance):
            yield (
                f"Predicted classes have shifted (population stability index {index:.2f}, at most "
                f"{max(allowed.max_psi, chance):.2f}): now {_shares(seen.labels)}; on held-out images "
                f"{_shares(expected)}."
            )
        certainty = seen.certainty / seen.images
        # Records older than this figure: a calibrated model is as certain as it is right.
        usual = test.accuracy if record.evaluation.mean_confidence is None else record.evaluation.mean_confidence
        if certainty < usual - allowed.max_certainty_loss:
            yield (
                f"Mean confidence is {certainty:.0%}; on held-out images it was {usual:.0%}, and it may be up to "
                f"{allowed.max_certainty_loss:.0%} lower."
            )
    if known := _brightness(record):
        mean, deviation = known
        now = seen.brightness / seen.images
        if abs(now - mean) > allowed.max_brightness_shift * deviation:
            yield (
                f"Mean brightness is {now:.0f} gray levels; the dataset's is {mean:.0f}, and it may differ by "
                f"{allowed.max_brightness_shift:g} standard deviations of {deviation:.0f}."
            )


def held_out(record: Record) -> dict[str, float]:
    """How many held-out images the version took for each class."""
    test = record.metrics.test
    return (
        {label: float(sum(row[n] for row in test.confusion)) for n, label in enumerate(record.labels)} if test else {}
    )


def _brightness(record: Record) -> tuple[float, float] | None:
    """Mean and deviation over all images of the dataset, from those of its classes."""
    used = record.dataset
    by_class = used.statistics.get("brightness", {}) if used else {}
    if not used or not by_class or not sum(used.classes.get(label, 0) for label in by_class):
        return None
    weights = {label: used.classes.get(label, 0) for label in by_class}
    total = sum(weights.values())
    mean = math.fsum(weights[label] * own["mean"] for label, own in by_class.items()) / total
    squares = math.fsum(weights[label] * (own["mean"] ** 2 + own["deviation"] ** 2) for label, own in by_class.items())
    # Images of one source may hardly vary; one gray level is no drift.
    return mean, max(math.sqrt(max(squares / total - mean**2, 0.0)), 1.0)


def _shares(counts: Mapping[str, float]) -> str:
    total = sum(counts.values())
    return ", ".join(f"{label} {count / total:.0%}" for label, count in sorted(counts.items()))


def _chi_square(degrees: int) -> float:
    """Exceeded with a probability of _CHANCE; Wilson and Hilferty's approximation, good to a percent here."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + NormalDist().inv_cdf(1 - _CHANCE) * math.sqrt(spread)) ** 3)
