from dataclasses import replace

import keras
import numpy as np
import pytest

from training.loop import Diverged, Predictor, Schedule, fit
from training.model import Network, build

NETWORK = Network(image_size=32, width=4, stages=2)
SCHEDULE = Schedule(epochs=2, batch=8)


def labelled(images: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(images)
    return random.integers(0, 256, (images, 32, 32, 1), np.uint8), (np.arange(images) % 3).astype(np.int32)


def fitted(schedule: Schedule, seed: int = 0, **options) -> tuple[keras.Model, list]:
    keras.utils.set_random_seed(seed)
    network = build(NETWORK, 3)
    return network, fit(network, labelled(24), labelled(9), schedule, seed=seed, **options)


def test_same_seed_gives_the_same_weights():
    one, other, different = fitted(SCHEDULE)[0], fitted(SCHEDULE)[0], fitted(SCHEDULE, seed=1)[0]
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one.get_weights(), different.get_weights(), strict=True))


def test_no_epochs_leave_the_network_as_it_is():
    keras.utils.set_random_seed(0)
    before = build(NETWORK, 3).get_weights()
    network, history = fitted(replace(SCHEDULE, epochs=0))
    assert history == []
    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))


def test_kept_weights_are_those_of_the_best_validation_loss():
    network, history = fitted(replace(SCHEDULE, epochs=4))
    pixels, labels = labelled(9)
    loss = -np.mean(np.log(Predictor(network)(pixels)[np.arange(9), labels] + 1e-7))
    assert loss == pytest.approx(min(epoch.validation_loss for epoch in history), rel=1e-4)


def test_loss_that_is_no_number_ends_the_run():
    with pytest.raises(Diverged, match="loss became"):
        fitted(replace(SCHEDULE, learning_rate=1e30))


def test_run_ends_when_its_time_is_up():
    _, history = fitted(replace(SCHEDULE, epochs=10_000), seconds=1.0)
    assert 1 <= len(history) < 10_000


def test_run_ends_when_validation_stops_getting_better():
    _, history = fitted(replace(SCHEDULE, epochs=200, learning_rate=0.0, patience=3))
    assert len(history) < 60


def test_predictions_do_not_depend_on_their_batch():
    network = fitted(replace(SCHEDULE, epochs=1))[0]
    pixels = labelled(70)[0]
    predict = Predictor(network)
    assert np.allclose(predict(pixels), np.concatenate([predict(image[None]) for image in pixels]), atol=1e-5)


def test_normalisation_is_that_of_plain_training_images():
    keras.utils.set_random_seed(0)
    network = build(replace(NETWORK, dropout=0.0), 3)
    fit(network, labelled(24), labelled(9), SCHEDULE, seed=0)
    pixels = labelled(24)[0].astype(np.float32)
    assert np.allclose(network(pixels, training=False), network(pixels, training=True), atol=1e-3)
