"""How good a classifier is, in more than counts: AUC, calibration, 95 % intervals, and the slices it is weak on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

_RESAMPLES = 1000
_BINS = 10
_DEVIATIONS_OF_95_PERCENT = 1.96
# A group of images is told apart from others by three parts of a measure, or by its values where there are so few.
_FEW_VALUES = 3

Interval = tuple[float, float]


@dataclass(frozen=True)
class Slice:
    """Images that have something in common."""

    by: str
    name: str
    images: int
    accuracy: float
    interval: Interval  # 95 %
    # All of the interval lies below the accuracy on all images.
    weak: bool


@dataclass(frozen=True)
class Bin:
    """Answers that were about equally sure."""

    confidence: float  # mean, 0 to 1
    accuracy: float
    images: int


@dataclass(frozen=True)
class Judgement:
    """Of probabilities against the truth. All shares are 0 to 1, all intervals hold 95 %."""

    images: int
    accuracy_interval: Interval
    # Per class. Of F1 by bootstrap; of plain shares, as accuracy is one, by Wilson's formula: a bootstrap would call
    # certain what is right for all of few images.
    recall_intervals: dict[str, Interval]
    precision_intervals: dict[str, Interval]
    f1_intervals: dict[str, Interval]
    # Chance that an image of a class is given a higher probability of it than one of another; None where either lacks.
    roc_auc: dict[str, float | None]
    roc_auc_mean: float | None
    # Expected calibration error: how far confidence is from accuracy, on average over the answers.
    calibration_error: float
    mean_confidence: float
    bins: list[Bin]
    slices: list[Slice]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def judge(
    probabilities: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[str],
    measures: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
) -> Judgement:
    """Judges probabilities float [N, C] of images whose classes are `truth`, int [N].

    `measures` are figures of each image, by which they are sliced: {"brightness": [N], …}.
    """
    answers = probabilities.argmax(axis=1)
    right = answers == truth
    f1 = _bootstrap(answers, truth, len(labels), seed)
    own = [(truth == index, answers == index) for index in range(len(labels))]
    recalls = [_wilson(int((is_one & answered).sum()), int(is_one.sum())) for is_one, answered in own]
    precisions = [_wilson(int((is_one & answered).sum()), int(answered.sum())) for is_one, answered in own]
    areas = _areas(probabilities, truth, labels)
    known = [area for area in areas.values() if area is not None]
    bins = _reliability(probabilities.max(axis=1), right)
    return Judgement(
        images=len(truth),
        accuracy_interval=_wilson(int(right.sum()), len(truth)),
        recall_intervals=dict(zip(labels, recalls, strict=True)),
        precision_intervals=dict(zip(labels, precisions, strict=True)),
        f1_intervals=dict(zip(labels, f1, strict=True)),
        roc_auc=areas,
        roc_auc_mean=float(np.mean(known)) if known else None,
        calibration_error=sum(abs(b.confidence - b.accuracy) * b.images for b in bins) / max(len(truth), 1),
        mean_confidence=float(probabilities.max(axis=1).mean()),
        bins=bins,
        slices=_slices(right, truth, labels, measures or {}),
    )


def _bootstrap(answers: np.ndarray, truth: np.ndarray, classes: int, seed: int) -> list[Interval]:
    """Intervals of each class's F1: what it would be, were the images drawn again and again."""
    random = np.random.default_rng(seed)
    cells = truth * classes + answers
    matrices = np.stack(
        [
            np.bincount(cells[random.integers(0, len(cells), len(cells))], minlength=classes**2)
            for _ in range(_RESAMPLES)
        ]
    ).reshape(-1, classes, classes)
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    f1 = 2 * hits / np.maximum(matrices.sum(axis=1) + matrices.sum(axis=2), 1)
    return [_interval(one) for one in f1.T]


def _interval(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _areas(probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> dict[str, float | None]:
    from sklearn.metrics import roc_auc_score

    areas: dict[str, float | None] = {}
    for index, label in enumerate(labels):
        own = truth == index
        both = own.any() and not own.all()
        areas[label] = float(roc_auc_score(own, probabilities[:, index])) if both else None
    return areas


def _reliability(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        Bin(float(confidence[own].mean()), float(right[own].mean()), int(own.sum()))
        for own in (place == number for number in range(_BINS))
        if own.any()
    ]


def _slices(
    right: np.ndarray, truth: np.ndarray, labels: Sequence[str], measures: Mapping[str, Sequence[float]]
) -> list[Slice]:
    groups = [("class", label, truth == index) for index, label in enumerate(labels)]
    for by, values in measures.items():
        parts = _parts(np.asarray(values, float))
        groups += [(by, name, own) for name, own in parts] if len(parts) > 1 else []
    overall = float(right.mean())
    return [_slice(by, name, right[own], overall) for by, name, own in groups if own.any()]


def _parts(values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    distinct = np.unique(values)
    if len(distinct) <= _FEW_VALUES:
        return [(f"{value:.0f}", values == value) for value in distinct]
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    return [
        (f"up to {low:.0f}", values <= low),
        (f"{low:.0f} to {high:.0f}", (values > low) & (values <= high)),
        (f"above {high:.0f}", values > high),
    ]


def _slice(by: str, name: str, right: np.ndarray, overall: float) -> Slice:
    interval = _wilson(int(right.sum()), len(right))
    return Slice(by, name, len(right), float(right.mean()), interval, interval[1] < overall)


def _wilson(hits: int, images: int) -> Interval:
    """Wilson's interval of a share: it stays within 0 to 1, also where all or none is right."""
    if not images:
        return 0.0, 1.0
    z2 = _DEVIATIONS_OF_95_PERCENT**2
    middle = (hits + z2 / 2) / (images + z2)
    half = _DEVIATIONS_OF_95_PERCENT / (images + z2) * (hits * (images - hits) / images + z2 / 4) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
