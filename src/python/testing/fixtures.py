"""The fixtures that a model test can ask for.

The suites get them from here at run time, not by import, so that a suite depends on nothing but itself: in the build
graph a change of a server's client is no change of the model tests.
"""

from collections.abc import Callable

import numpy as np
import pytest

from contracts.changes import Changes
from contracts.record import Metrics, Record
from contracts.verdict import Intervals, Load, Memory
from evaluation import Comparison, compare, judge, measure
from imaging.array import canonical, encode_png
from serving.client import Prediction, ServedModel
from testing.something_else import pictures
from testing.subject import Budget, Labelled, Subject, changes_of


class Fixtures:
    """A pytest plugin around one subject."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @pytest.fixture(scope="session")
    def classify(self) -> Callable[..., Prediction]:
        """classify(image: bytes, version_label=None): one answer of the clone, over gRPC."""
        return self._subject.client.classify

    @pytest.fixture(scope="session")
    def classify_all(self) -> Callable[..., list[Prediction]]:
        """classify_all(images): many answers, in order, asked several at a time."""
        return self._subject.ask

    @pytest.fixture(scope="session")
    def candidate(self) -> Record:
        """The record of the version under test."""
        return self._subject.candidate

    @pytest.fixture(scope="session")
    def baseline(self) -> Record:
        """The record of production's version; the test is skipped where there is none."""
        if self._subject.baseline is None:
            pytest.skip("nothing is in production to compare with")
        return self._subject.baseline

    @pytest.fixture(scope="session")
    def holdout(self) -> list[Labelled]:
        """Images on which no version was ever trained, with their true classes."""
        return self._subject.holdout

    @pytest.fixture(scope="session")
    def as_seen(self) -> Callable[[bytes], np.ndarray]:
        """as_seen(image: bytes): the picture as the candidate sees it, uint8 [size, size] gray or [size, size, 3]."""

        def seen(image: bytes) -> np.ndarray:
            pixels = canonical(image, self._subject.input)
            return pixels if pixels.shape[2] == 3 else pixels[:, :, 0]

        return seen

    @pytest.fixture(scope="session")
    def changes(self) -> Changes:
        """Which changes of a picture keep its class, by the candidate's record."""
        return changes_of(self._subject.candidate)

    @pytest.fixture(scope="session")
    def something_else(self) -> dict[str, list[bytes]]:
        """PNGs of pictures that are no example of any class, by their kind; see testing/something_else.py."""
        held_out = np.stack([canonical(item.image, self._subject.input) for item in self._subject.holdout])
        return {kind: list(map(encode_png, found)) for kind, found in pictures(held_out).items()}

    @pytest.fixture(scope="session")
    def answers(self) -> list[Prediction]:
        """The candidate's answers to `holdout`."""
        return self._subject.ask_holdout()

    @pytest.fixture(scope="session")
    def metrics(self) -> Metrics:
        """The candidate's accuracy and per-class figures on `holdout`, as served."""
        return measured(self._subject, self._subject.ask_holdout())

    @pytest.fixture(scope="session")
    def baseline_metrics(self, baseline: Record) -> Metrics:
        """The same of production's version, on the same images."""
        return measured(self._subject, self._subject.ask_baseline() or [])

    @pytest.fixture(scope="session")
    def comparison(self, baseline: Record) -> list[Comparison]:
        """How the candidate's answers to `holdout` compare with production's: on all images, then on each class."""
        return compared(self._subject) or []

    @pytest.fixture(scope="session")
    def served(self) -> ServedModel:
        """What the clone says of itself: versions, labels, the model's classes and image size."""
        return self._subject.client.model()

    @pytest.fixture(scope="session")
    def classify_at_once(self) -> Callable[..., list[Prediction]]:
        """classify_at_once(images): many answers, in order, by one request that the model gets as one batch."""
        return self._subject.ask_at_once

    @pytest.fixture(scope="session")
    def load(self) -> Load:
        """How fast the candidate answers several callers at once."""
        return _found(self._subject.load().candidate)

    @pytest.fixture(scope="session")
    def baseline_load(self, baseline: Record) -> Load:
        """The same of production's version, measured in turns with the candidate."""
        return _found(self._subject.load().production)

    @pytest.fixture(scope="session")
    def memory(self) -> Memory:
        """The model server's memory; the test is skipped where it can't be seen."""
        found = self._subject.memory()
        if found is None:
            pytest.skip("the model server's memory can't be seen from here")
        return found

    @pytest.fixture(scope="session")
    def restart(self) -> Callable[[], None]:
        """restart(): ends the model server and starts it again; returns when it answers."""
        return self._subject.pod.restart_model_server

    @pytest.fixture(scope="session")
    def budget(self) -> Budget:
        """The limits in force."""
        return self._subject.budget


def compared(subject: Subject) -> list[Comparison] | None:
    """The candidate's answers to the held-out images against production's; None where nothing is in production."""
    before = subject.ask_baseline()
    if before is None:
        return None
    own, truth = subject.ask_holdout(), [item.label for item in subject.holdout]
    labels, tolerance = subject.candidate.labels, subject.budget.tolerance
    return compare([a.label for a in own], [a.label for a in before], truth, tolerance, labels, _groups(subject))


def intervals(subject: Subject, answers: list[Prediction]) -> Intervals:
    """What holds the true figures of `answers` to the held-out images in 95 of 100 cases."""
    labels = subject.candidate.labels
    probabilities = np.array([[answer.scores.get(label, 0.0) for label in labels] for answer in answers])
    truth = np.array([labels.index(item.label) for item in subject.holdout])
    found = judge(probabilities, truth, labels, groups=_groups(subject))
    return Intervals(
        accuracy=found.accuracy_interval,
        recall=found.recall_intervals,
        precision=found.precision_intervals,
        f1=found.f1_intervals,
    )


def _groups(subject: Subject) -> list[int] | None:
    """Of each held-out image the number of its group; None where groups are not told."""
    groups = [item.group for item in subject.holdout if item.group is not None]
    return groups or None


def measured(subject: Subject, answers: list[Prediction]) -> Metrics:
    """Metrics of `answers` to the subject's held-out images."""
    return measure([item.label for item in subject.holdout], [a.label for a in answers], subject.candidate.labels)


def _found(load: Load | None) -> Load:
    if load is None:
        pytest.skip("the load was not measured")
    return load
