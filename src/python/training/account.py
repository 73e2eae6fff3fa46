"""Judges a trained network in full, and fits the temperature that its probabilities are served with."""

import keras
import numpy as np

from contracts.record import Metrics, Trial
from dataset import Dataset
from evaluation import Account, fitted, judge, scaled
from training.loop import Predictor, kept


def account(
    network: keras.Model,
    data: Dataset,
    metrics: Metrics,
    baseline: Metrics | None,
    trial: Trial,
    seed: int,
) -> Account:
    """All that is to be told of `network`, whose test metrics are `metrics`; see Account for the rest."""
    predict, size = Predictor(network), network.input_shape[1]
    # Test images take no part in this, or they could not tell whether it helped.
    pixels, truth = data.arrays("validation", size)
    temperature = fitted(np.log(np.maximum(predict(pixels), 1e-30)), truth, seed)
    pixels, truth = data.arrays("test", size)
    images, plain = data.part("test"), predict(pixels)
    served = scaled(plain, temperature)
    measures = {
        "picture side in pixels": [image.side for image in images],
        "brightness": [image.brightness for image in images],
    }
    return Account(
        metrics=metrics,
        judgement=judge(served, truth, data.labels, measures, seed),
        unscaled=judge(plain, truth, data.labels, seed=seed),
        temperature=temperature,
        probabilities=served,
        truth=truth,
        files=[image.path for image in images],
        baseline=baseline,
        epochs=[epoch.model_dump() for epoch in trial.history],
        best_epoch=kept(trial.history, trial.ended),
    )
