"""Trains one network, or several in turn until one is good enough on the validation images."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

from dataset import Dataset
from evaluation import measure
from registry import Metrics
from training.loop import Diverged, Epoch, Predictor, Weights, fit
from training.model import build
from training.parameters import Parameters
from training.weights import put_weights

_SECONDS_WORTH_A_TRIAL = 10


@dataclass(frozen=True)
class Trained:
    """A network with its weights, and how good it is on the validation images."""

    parameters: Parameters
    network: keras.Model
    validation: Metrics

    @property
    def rank(self) -> tuple[float, float]:
        """What trials are compared by: the mean recall of the classes, then accuracy."""
        return float(np.mean([own.recall for own in self.validation.per_class.values()])), self.validation.accuracy


def quality(network: keras.Model, data: Dataset, split: str) -> Metrics:
    """Metrics of `network` on one split of `data`."""
    pixels, truth = data.arrays(split, network.input_shape[1])
    names = np.array(data.labels)
    likeliest = Predictor(network)(pixels).argmax(axis=1)
    return measure(names[truth].tolist(), names[likeliest].tolist(), data.labels)


def search(
    trials: Sequence[Parameters],
    data: Dataset,
    *,
    seed: int,
    seconds: float,
    good_enough: Callable[[Metrics], bool],
    start: Weights | None = None,
    watch: Callable[[int, Epoch], None] = lambda trial, epoch: None,
) -> Trained:
    """The best of `trials` on the validation images; later ones are tried only while none is good enough.

    The test images take no part, so that what they say in the end is true. All trials together may take `seconds`.
    `start` are the weights to begin with.

    Raises:
        Diverged: no trial came to a result.
    """
    deadline = time.monotonic() + seconds
    best: Trained | None = None
    failure: Diverged | None = None
    for number, parameters in enumerate(trials, start=1):
        left = deadline - time.monotonic()
        if number > 1 and left < _SECONDS_WORTH_A_TRIAL:
            break
        try:
            trained = _train(parameters, data, seed, max(left, 1.0), start, partial(watch, number))
        except Diverged as error:
            failure = error
            continue
        if best is None or trained.rank > best.rank:
            best = trained
        if good_enough(trained.validation):
            break
    if best is None:
        raise failure or Diverged("there was no time for a single epoch")
    return best


def _train(
    parameters: Parameters,
    data: Dataset,
    seed: int,
    seconds: float,
    start: Weights | None,
    watch: Callable[[Epoch], None],
) -> Trained:
    keras.utils.set_random_seed(seed)
    network = build(parameters.network, len(data.labels))
    if start is not None:
        put_weights(network, start)
    size = parameters.network.image_size
    fit(
        network,
        data.arrays("train", size),
        data.arrays("validation", size),
        parameters.schedule,
        seed=seed,
        seconds=seconds,
        watch=watch,
    )
    return Trained(parameters, network, quality(network, data, "validation"))
