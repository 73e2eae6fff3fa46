"""What moved in a dataset against an earlier one: the mix of classes, brightness, contrast, sizes. Never refused."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from contracts.classes import in_one_form
from dataset.scan import Scan
from dataset.statistics import told_by_the_file

_UNITS = {"brightness": "gray levels", "contrast": "gray levels", "bytes": "bytes", "side": "pixels"}
# A measure may hardly vary at all, as the size of images from one source: this share of its mean at least counts as one
# deviation.
_LEAST_DEVIATION = 0.02
# By so much more than by guessing may a file's size and format tell its class.
_MAX_TOLD = 0.2


@dataclass(frozen=True)
class Previous:
    """An earlier dataset: images per class, and the figures that were kept of it."""

    name: str
    classes: Mapping[str, int]
    fingerprint: str = ""
    statistics: Mapping[str, Any] = field(default_factory=dict)

    def of_class(self, measure: str, label: str) -> Mapping[str, float] | None:
        """Mean and deviation of a measure; a class may have been kept in another form of Unicode."""
        own: Mapping[str, Mapping[str, float]] = self.statistics.get(measure, {})
        return next((value for name, value in own.items() if in_one_form(name) == label), None)


class Allowed(Protocol):
    @property
    def max_imbalance(self) -> float: ...
    @property
    def max_mix_change(self) -> float: ...
    @property
    def max_shift(self) -> float: ...


def skew(found: Scan, limits: Allowed, previous: Previous | None) -> Iterator[tuple[str, str]]:
    """(kind, sentence) of each thing that is worth knowing before anything is learnt from these images."""
    counts = found.dataset.counts()
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[largest] > limits.max_imbalance * counts[smallest]:
        yield (
            "imbalance",
            f"'{largest}' has {counts[largest]} images and '{smallest}' {counts[smallest]}: more than "
            f"{limits.max_imbalance:g} times as many.",
        )
    told, guessed = told_by_the_file(found.kept)
    if told > guessed + _MAX_TOLD:
        yield (
            "shortcut",
            f"Size and format of the file alone tell the class of {told:.0%} of the images (guessing: {guessed:.0%}); "
            "a model may learn the source of a picture instead of what it shows.",
        )
    if previous:
        yield from _mix(counts, limits, previous)
        yield from _shifts(found.dataset.statistics, limits, previous)


def _mix(counts: Mapping[str, int], limits: Allowed, previous: Previous) -> Iterator[tuple[str, str]]:
    classes = {in_one_form(label): count for label, count in previous.classes.items()}
    now, before = sum(counts.values()), sum(classes.values())
    for label in counts if now and before else ():
        share, earlier = counts[label] / now, classes.get(label, 0) / before
        if label in classes and abs(share - earlier) > limits.max_mix_change:
            yield "mix", f"'{label}' is {share:.0%} of the images; in {previous.name} it was {earlier:.0%}."


def _shifts(statistics: Mapping[str, Any], limits: Allowed, previous: Previous) -> Iterator[tuple[str, str]]:
    for measure, unit in _UNITS.items():
        for label, now in statistics[measure].items():
            before = previous.of_class(measure, label)
            if not before:
                continue
            deviation = max(before["deviation"], _LEAST_DEVIATION * abs(before["mean"]), 1e-9)
            shift = (now["mean"] - before["mean"]) / deviation
            if abs(shift) > limits.max_shift:
                yield (
                    measure,
                    f"Mean {measure} of '{label}' went from {before['mean']:.0f} to {now['mean']:.0f} {unit}, "
                    f"{shift:+.1f} standard deviations of {previous.name}.",
                )
