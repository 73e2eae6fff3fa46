"""What the model tests are given: the candidate, what to compare it with, and images it never saw."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from registry import PREVIOUS, Record
from serving.client import Client, Prediction

# About so many held-out images are asked over the wire at most, spread evenly over them.
MOST_IMAGES = 400
_CALLERS = 8


@dataclass(frozen=True)
class Labelled:
    """An image file's bytes with its true class."""

    name: str
    image: bytes
    label: str


@dataclass(frozen=True)
class Budget:
    """What a candidate may cost or lack; from trainyard.toml."""

    min_accuracy: float
    min_recall: float
    # How far it may fall behind production on the same images.
    tolerance: float
    # Share of answers that a harmless change of the picture may turn.
    max_flips: float = 0.15


@dataclass
class Subject:
    """A candidate served by the clone behind `client`."""

    client: Client
    candidate: Record
    baseline: Record | None
    holdout: list[Labelled]
    budget: Budget
    # Answers to the held-out images, by the label of the version asked.
    answers: dict[str, list[Prediction]] = field(default_factory=dict)

    def ask(self, images: Sequence[bytes], version_label: str | None = None) -> list[Prediction]:
        """Answers to `images`, in their order."""
        with ThreadPoolExecutor(_CALLERS) as callers:
            return list(callers.map(lambda image: self.client.classify(image, version_label=version_label), images))

    def ask_holdout(self, version_label: str | None = None) -> list[Prediction]:
        """Answers to the held-out images; asked once, then remembered."""
        key = version_label or ""
        if key not in self.answers:
            self.answers[key] = self.ask([item.image for item in self.holdout], version_label)
        return self.answers[key]

    def ask_baseline(self) -> list[Prediction] | None:
        """Production's answers to the held-out images; None where nothing is in production."""
        return None if self.baseline is None else self.ask_holdout(PREVIOUS)
