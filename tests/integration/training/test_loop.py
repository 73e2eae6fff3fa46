import pickle
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from imaging import ImageInput
from training.family import Family
from training.feed import Feed
from training.loop import Diverged, Predictor, Stopped, best_epoch, fit
from training.outliers import outliers
from training.state import State
from training.step import Schedule
from training.team import Team

# Only what the loop teaches.
NETWORK = {"width": 4, "landmarks": 0}
SCHEDULE = Schedule(epochs=2, batch=8)
# Long enough for two stages to learn noise by heart, so that the validation loss rises again.
MEMORISING = replace(SCHEDULE, epochs=16, learning_rate=0.01, augmentation=0, outliers=0)


def build(stages: int = 1) -> keras.Model:
    return Family.named("residual").build({**NETWORK, "stages": stages}, ImageInput(32), 3)


def labelled(images: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(images)
    return random.integers(0, 256, (images, 32, 32, 1), np.uint8), (np.arange(images) % 3).astype(np.int32)


def fitted(schedule: Schedule, seed: int = 0, stages: int = 1, **options) -> tuple[keras.Model, list]:
    keras.utils.set_random_seed(seed)
    network = build(stages)
    return network, fit(network, labelled(24), labelled(9), schedule, seed=seed, **options).history


@pytest.fixture(scope="module")
def whole() -> keras.Model:
    """After a complete run; not to be changed by tests."""
    return fitted(SCHEDULE)[0]


def test_same_seed_gives_the_same_weights(whole):
    one, other, different = whole, fitted(SCHEDULE)[0], fitted(SCHEDULE, seed=1)[0]
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one.get_weights(), different.get_weights(), strict=True))


def test_no_epochs_leave_the_network_as_it_is():
    keras.utils.set_random_seed(0)
    before = build().get_weights()
    network, history = fitted(replace(SCHEDULE, epochs=0))
    assert history == []
    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))


def validation_loss(network: keras.Model) -> float:
    pixels, labels = labelled(9)
    return -np.mean(np.log(Predictor(network)(pixels)[np.arange(9), labels] + 1e-7))


def test_run_that_was_given_up_leaves_the_weights_with_the_best_validation_loss():
    network, history = fitted(MEMORISING, stages=2, hopeless=lambda history: len(history) == 10)
    losses = [epoch.validation_loss for epoch in history]
    assert len(losses) == 10
    assert min(losses) < losses[-1]
    assert validation_loss(network) == pytest.approx(min(losses), rel=1e-4)
    assert losses[best_epoch(history, "hopeless") - 1] == min(losses)
    assert best_epoch(history, "epochs") == best_epoch(history, "time") == 10


def test_complete_run_leaves_its_last_weights_even_after_a_lower_validation_loss():
    network, history = fitted(MEMORISING, stages=2)
    losses = [epoch.validation_loss for epoch in history]
    assert min(losses) < losses[-1]
    assert validation_loss(network) == pytest.approx(losses[-1], rel=1e-4)


def test_certainty_about_pictures_of_nothing_counts_against_the_weights():
    share = 0.5
    network, history = fitted(replace(SCHEDULE, epochs=4, outliers=share))
    strange = tf.cast(tf.round(outliers(64, (32, 32, 1), tf.constant([0, -1], tf.int32))), tf.uint8).numpy()
    beyond_even = -np.mean(np.log(Predictor(network)(strange) + 1e-7)) - np.log(3)
    assert beyond_even > 0
    assert validation_loss(network) + share * beyond_even == pytest.approx(history[-1].validation_loss, rel=1e-4)


def test_loss_that_is_no_number_ends_the_run():
    with pytest.raises(Diverged, match="loss became"):
        fitted(replace(SCHEDULE, learning_rate=1e30))


def test_run_ends_when_its_time_is_up():
    _, history = fitted(replace(SCHEDULE, epochs=10_000), seconds=1.0)
    assert 1 <= len(history) < 10_000


def test_run_ends_when_validation_stops_getting_better():
    _, history = fitted(replace(SCHEDULE, epochs=200, learning_rate=0.0, patience=3))
    assert len(history) < 60


def test_predictions_do_not_depend_on_their_batch(whole):
    pixels = labelled(70)[0]
    predict = Predictor(whole)
    assert np.allclose(predict(pixels), np.concatenate([predict(image[None]) for image in pixels]), atol=1e-5)


def test_normalisation_is_that_of_plain_training_images(whole):
    pixels, before = labelled(24)[0].astype(np.float32), whole.get_weights()
    assert np.allclose(whole(pixels, training=False), whole(pixels, training=True), atol=1e-3)
    whole.set_weights(before)


def states(schedule: Schedule, **options) -> tuple[keras.Model, list[State]]:
    saved: list[State] = []
    keras.utils.set_random_seed(0)
    network = build()
    fit(
        network,
        labelled(24),
        labelled(9),
        schedule,
        seed=0,
        save=lambda state, urgent: saved.append(State.from_bytes(state.to_bytes())),
        **options,
    )
    return network, saved


def same(one: keras.Model, other: keras.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_run_resumed_from_an_epoch_ends_with_the_same_weights():
    schedule = replace(SCHEDULE, epochs=4)
    network, saved = states(schedule)
    assert [state.step for state in saved] == [3, 6, 9, 12]
    # Another seed for the initial weights: all that counts must come from the state.
    keras.utils.set_random_seed(5)
    again = build()
    fit(again, labelled(24), labelled(9), schedule, seed=0, state=saved[1])
    assert same(network, again)


def test_run_stopped_within_an_epoch_ends_with_the_same_weights(whole):
    asked = iter([False] * 4 + [True])
    saved: list[State] = []
    keras.utils.set_random_seed(0)
    with pytest.raises(Stopped):
        fit(
            build(),
            labelled(24),
            labelled(9),
            SCHEDULE,
            seed=0,
            stop=lambda: next(asked),
            save=lambda state, urgent: saved.append(state),
        )
    assert (saved[-1].step, len(saved[-1].losses)) == (4, 1)
    again = build()
    history = fit(again, labelled(24), labelled(9), SCHEDULE, seed=0, state=saved[-1]).history
    assert same(whole, again)
    assert len(history) == 2


def test_run_short_of_time_can_be_repeated_without_a_clock():
    schedule = replace(SCHEDULE, epochs=10_000)
    keras.utils.set_random_seed(0)
    network = build()
    state = fit(network, labelled(24), labelled(9), schedule, seed=0, seconds=2.0)
    assert state.ended == "time"
    keras.utils.set_random_seed(0)
    again = build()
    fit(again, labelled(24), labelled(9), schedule, seed=0, planned=state.planned)
    assert same(network, again)


def test_state_holds_no_code():
    with pytest.raises(ValueError, match="bytes of a training state"):
        State.from_bytes(pickle.dumps({"a": 1}))


def test_every_image_is_seen_once_an_epoch_in_another_order_each():
    feed = Feed(labelled(24), 8, seed=1, team=Team())
    epochs = [np.concatenate([feed.rows(epoch * 3 + step) for step in range(3)]) for epoch in range(2)]
    assert all(sorted(rows) == list(range(24)) for rows in epochs)
    assert list(epochs[0]) != list(epochs[1])
    pixels, labels = next(feed.batches(4, 6))
    assert np.array_equal(pixels, labelled(24)[0][feed.rows(4)])
    assert np.array_equal(labels, labelled(24)[1][feed.rows(4)])
