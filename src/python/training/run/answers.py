"""What a network answers to one side of a dataset."""

from dataclasses import dataclass

import numpy as np

from contracts.record import Metrics
from dataset import Dataset
from evaluation import measure
from imaging import ImageInput
from training.loop import Predictor


@dataclass(frozen=True)
class Answers:
    """`probabilities` float32 [N, C] of images whose classes are `truth`, int32 [N]: places in `labels`."""

    probabilities: np.ndarray
    truth: np.ndarray
    labels: list[str]
    # Number of each image's group, such as one patient's; None where groups are not told.
    groups: list[int] | None = None

    @property
    def likeliest(self) -> np.ndarray:
        """int [N], places in `labels`."""
        return self.probabilities.argmax(axis=1)

    def metrics(self) -> Metrics:
        names = np.array(self.labels)
        return measure(names[self.truth].tolist(), names[self.likeliest].tolist(), self.labels)


def answers_of(network: Predictor, image: ImageInput, data: Dataset, split: str) -> Answers:
    """The answers of `network`, which takes `image`, to one split of `data`."""
    pixels, truth = data.arrays(split, image)
    return Answers(network(pixels), truth, data.labels, data.groups(split))
