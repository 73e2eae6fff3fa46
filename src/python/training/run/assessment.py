"""Evaluates a trained network in full, and fits the temperature that its probabilities are served with."""

import numpy as np

from contracts.record import Metrics, Trial
from dataset import Dataset
from evaluation import Account, fitted, judge, scaled
from imaging import ImageInput
from training.loop import Predictor, best_epoch
from training.run.answers import Answers, answers_of


def assess(
    network: Predictor,
    image: ImageInput,
    data: Dataset,
    test: Answers,
    baseline: Metrics | None,
    trial: Trial,
    seed: int,
) -> Account:
    """All that the report shows of `network`, which takes `image`, and whose answers to the test images are `test`."""
    # Test images take no part in this, or they could not tell whether it helped.
    validation = answers_of(network, image, data, "validation")
    temperature = fitted(np.log(np.maximum(validation.probabilities, 1e-30)), validation.truth, seed)
    images, plain = data.part("test"), test.probabilities
    served = scaled(plain, temperature)
    measures = {
        "picture side in pixels": [image.side for image in images],
        "brightness": [image.brightness for image in images],
    }
    return Account(
        metrics=test.metrics(),
        judgement=judge(served, test.truth, data.labels, measures, seed, test.groups),
        unscaled=judge(plain, test.truth, data.labels, seed=seed),
        temperature=temperature,
        probabilities=served,
        truth=test.truth,
        files=[image.path for image in images],
        baseline=baseline,
        epochs=[epoch.model_dump() for epoch in trial.history],
        best_epoch=best_epoch(trial.history, trial.ended),
    )
