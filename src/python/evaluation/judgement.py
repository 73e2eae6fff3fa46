"""How good a classifier is, in more than counts: AUC, calibration, 95 % intervals, and the slices it is weak on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from evaluation.resampling import Drawn, Interval

_BINS = 10
# A group of images is told apart from others by three parts of a measure, or by its values where there are so few.
_FEW_VALUES = 3


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
    # Per class. By Wilson's formula: a bootstrap would call certain what is right for all of few images.
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
    groups: Sequence[int] | None = None,
) -> Judgement:
    """Judges probabilities float [N, C] of images whose classes are `truth`, int [N].

    `measures` are figures of each image, by which they are sliced: {"brightness": [N], …}. `groups` tell which images
    belong together, such as one patient's, [N]: intervals then say how sure a figure is for other groups.
    """
    answers = probabilities.argmax(axis=1)
    right = answers == truth
    drawn = Drawn(len(truth), groups, seed)
    own = [(truth == index, answers == index) for index in range(len(labels))]
    recalls = [drawn.share(answered, is_one) for is_one, answered in own]
    precisions = [drawn.share(is_one, answered) for is_one, answered in own]
    f1 = [_f1_interval(drawn, is_one, answered) for is_one, answered in own]
    areas = _areas(probabilities, truth, labels)
    known = [area for area in areas.values() if area is not None]
    bins = _reliability(probabilities.max(axis=1), right)
    return Judgement(
        images=len(truth),
        accuracy_interval=drawn.share(right),
        recall_intervals=dict(zip(labels, recalls, strict=True)),
        precision_intervals=dict(zip(labels, precisions, strict=True)),
        f1_intervals=dict(zip(labels, f1, strict=True)),
        roc_auc=areas,
        roc_auc_mean=float(np.mean(known)) if known else None,
        calibration_error=sum(abs(b.confidence - b.accuracy) * b.images for b in bins) / max(len(truth), 1),
        mean_confidence=float(probabilities.max(axis=1).mean()),
        bins=bins,
        slices=_slices(right, truth, labels, measures or {}, drawn),
    )


def _f1_interval(drawn: Drawn, is_one: np.ndarray, answered: np.ndarray) -> Interval:
    """Of a class's F1, by that of the share j of hits among the images that are one or were taken for one: what is
    neither counts in neither, and F1 = 2 j / (1 + j)."""
    low, high = drawn.share(is_one & answered, is_one | answered)
    return 2 * low / (1 + low), 2 * high / (1 + high)


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
    right: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[str],
    measures: Mapping[str, Sequence[float]],
    drawn: Drawn,
) -> list[Slice]:
    groups = [("class", label, truth == index) for index, label in enumerate(labels)]
    for by, values in measures.items():
        parts = _parts(np.asarray(values, float))
        groups += [(by, name, own) for name, own in parts] if len(parts) > 1 else []
    overall = float(right.mean())
    return [_slice(by, name, own, right, drawn, overall) for by, name, own in groups if own.any()]


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


def _slice(by: str, name: str, own: np.ndarray, right: np.ndarray, drawn: Drawn, overall: float) -> Slice:
    found = drawn.share(right, own)
    return Slice(by, name, int(own.sum()), float(right[own].mean()), found, found[1] < overall)
