"""The kernel machine beside the network: what is fitted, what it answers, and what training leaves alone."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from contracts.changes import Changes
from imaging import ImageInput
from training.at_once import Material, fit_layers
from training.family import Family
from training.head import Head, head_of
from training.loop import Predictor, Stopped, class_weights, fit
from training.networks import kernel_machine
from training.parameters import Parameters
from training.step import Schedule

CLASSES = 3
NETWORK = {"width": 4, "stages": 1, "landmarks": 256}
NO_MIRROR = Changes(mirror=False)


def build(landmarks: int = 256, image: ImageInput = ImageInput(32)) -> keras.Model:  # noqa: B008
    return Family.named("residual").build({**NETWORK, "landmarks": landmarks}, image, CLASSES)


def bars(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images of a horizontal bar in one of three places, which only tells apart who knows where it is."""
    drawn = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % CLASSES
    pixels = drawn.normal(100, 15, (count, 32, 32, 1))
    for image, label in zip(pixels, labels, strict=True):
        top = 4 + 9 * label + drawn.integers(-1, 2)
        image[top : top + 4] += 60
    return pixels.clip(0, 255).astype(np.uint8), labels


def fitted(
    pixels: np.ndarray,
    labels: np.ndarray,
    landmarks: int = 256,
    changes: Changes = Changes(),  # noqa: B008
) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build(landmarks, ImageInput(pixels.shape[1], pixels.shape[3]))
    fit_layers(model, Material(pixels, labels, class_weights(labels, CLASSES), changes, seed=0))
    return model


def scores(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    ask = keras.Model(model.input, model.get_layer("kernel_machine").output)
    return ask(pixels.astype(np.float32)).numpy()


def features(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    machine = model.get_layer("kernel_machine")
    found = keras.Model(model.input, machine.input)(pixels.astype(np.float32)).numpy()
    scale, middle = machine.get_weights()[:2]
    return (found * scale - middle).astype(np.float64)


@pytest.fixture(scope="module")
def known() -> keras.Model:
    """Fitted to 60 images; not to be changed by tests."""
    return fitted(*bars(60, seed=1))


def test_knows_images_it_has_not_seen(known):
    pixels, labels = bars(60, seed=2)
    assert np.mean(scores(known, pixels).argmax(axis=1) == labels) > 0.95


@pytest.mark.parametrize("counts", [[20, 20, 20], [40, 15, 5]])
def test_is_kernel_ridge_regression_where_all_images_are_landmarks(counts):
    """The reference is scikit-learn's; rare classes weigh as much as others."""
    chosen = np.concatenate([np.flatnonzero(bars(120, 1)[1] == c)[:count] for c, count in enumerate(counts)])
    pixels, labels = (part[chosen] for part in bars(120, seed=1))
    model, asked = fitted(pixels, labels), bars(30, seed=2)[0]
    both = np.concatenate([pixels, pixels[:, :, ::-1]])
    weights = np.tile(class_weights(labels, CLASSES)[labels], 2)
    reference = KernelRidge(kernel="rbf", gamma=1.0, alpha=kernel_machine._RIDGE)
    reference.fit(features(model, both), np.tile(np.eye(CLASSES)[labels], (2, 1)) - 1 / CLASSES, weights)
    assert np.allclose(scores(model, asked), reference.predict(features(model, asked)), atol=2e-3)


def test_fewer_landmarks_than_images_come_close():
    pixels, labels = bars(120, seed=1)
    asked, truth = bars(60, seed=2)
    few = scores(fitted(pixels, labels, landmarks=40), asked)
    assert np.mean(few.argmax(axis=1) == truth) > 0.9


@pytest.mark.parametrize("side", [32, 30, 12, 5])
def test_answers_mirror_images_alike(side):
    """On sides that are no multiple of the grid, too, where that is possible to the pixel."""
    pixels, labels = bars(60, seed=1)
    model = fitted(pixels[:, :side, :side], labels)
    asked = bars(30, seed=2)[0][:, :side, :side]
    assert np.allclose(scores(model, asked), scores(model, asked[:, :, ::-1]), atol=1e-3)


def test_answer_does_not_depend_on_the_batch(known):
    """Distances are differences of large numbers, of which the last bits are chance."""
    asked = bars(30, seed=2)[0]
    alone = np.concatenate([scores(known, asked[i : i + 1]) for i in range(len(asked))])
    assert np.allclose(scores(known, asked), alone, rtol=0, atol=2e-6)


@pytest.mark.parametrize("shift", [1, 2])
def test_knows_an_image_that_was_moved_a_little(known, shift):
    asked, truth = bars(60, seed=2)
    moved = scores(known, np.roll(asked, shift, axis=2))
    assert np.mean(moved.argmax(axis=1) == truth) > 0.95
    assert np.median(moved.max(axis=1)) > 0.3


def test_edge_of_what_a_picture_lacks_is_not_looked_at(known):
    """Such as the black lines of one that was moved; only mean and deviation of the image change a little."""
    asked = bars(30, seed=2)[0]
    framed = asked.copy()
    framed[:, 0], framed[:, :, -1] = 0, 0
    assert np.allclose(scores(known, framed), scores(known, asked), atol=0.1)


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_is_as_sure_of_one_of_many_classes_as_of_one_of_two(classes):
    machine = kernel_machine.KernelMachine(16, classes)
    perfect = np.eye(classes)[0] - 1 / classes
    sure = np.exp(machine.sharpness * perfect)
    assert sure[0] / sure.sum() == pytest.approx(kernel_machine._SUREST)


def test_fitting_can_be_stopped():
    """Before the first epoch nothing is worth saving, and the network is as it was."""
    model, saved = build(), []
    with pytest.raises(Stopped, match="before the first epoch"):
        images = bars(60, seed=1)
        fit(model, images, images, Schedule(), seed=0, stop=lambda: True, save=lambda *given: saved.append(given))
    assert not saved and not np.any(model.get_layer("kernel_machine").get_weights()[0])


def test_says_nothing_of_what_is_like_no_image(known):
    asked = bars(30, seed=2)[0]
    noise = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 1)).astype(np.uint8)
    assert np.abs(scores(known, noise)).max() < 0.2
    assert np.median(scores(known, asked).max(axis=1)) > 0.5


def test_logits_of_the_model_are_the_sum_of_both(known):
    asked = bars(30, seed=2)[0]
    logits = keras.Model(known.input, head_of(known).output)(asked.astype(np.float32)).numpy()
    sharpness = known.get_layer("kernel_machine").sharpness
    powers = np.exp(0.75 * (logits + sharpness * scores(known, asked)))
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert np.allclose(Predictor(known)(asked), expected, atol=1e-5)


def test_training_leaves_it_as_it_was_fitted(known):
    """To the last bit, in the average of the weights too; no epochs leave it as it was before."""
    keras.utils.set_random_seed(0)
    pixels, labels = bars(60, seed=1)
    schedule = Schedule(epochs=3, batch=16)
    trained = build()
    fit(trained, (pixels, labels), bars(30, seed=2), schedule, seed=0)
    once = known.get_layer("kernel_machine").get_weights()
    after = trained.get_layer("kernel_machine").get_weights()
    assert [array.tobytes() for array in once] == [array.tobytes() for array in after]
    other = bars(60, seed=3)
    fit(trained, other, bars(30, seed=2), replace(schedule, epochs=0), seed=0)
    assert np.array_equal(trained.get_layer("kernel_machine").get_weights()[2], once[2])


def test_network_of_a_record_that_knows_no_kernel_machine_has_none():
    """A parent from before there was one is built again as it was, and trained on."""
    values = {"network": {"image_size": 32, "width": 4, "stages": 2}, "schedule": {}}
    found = Parameters.from_dict(values)
    assert (found.family, found.input, found.network["landmarks"]) == ("residual", ImageInput(32), 0)
    model = Family.named(found.family).build(found.network, found.input, CLASSES)
    fit(model, bars(30, 1), bars(30, 2), Schedule(epochs=1, batch=16), seed=0)
    assert isinstance(model.layers[-1], Head)


@pytest.mark.parametrize("changes", [Changes(), NO_MIRROR])
def test_mirror_images_are_landmarks_where_they_keep_the_class(changes):
    """Bars on the left and on the right are each other's mirror images: without them, the two are told apart."""
    pixels, labels = (part.copy() for part in bars(60, seed=1))
    turned = np.swapaxes(pixels, 1, 2)  # the bar of class 0 is on the left, that of class 2 on the right
    model = fitted(turned, labels, changes=changes)
    asked, truth = bars(60, seed=2)
    right = scores(model, np.swapaxes(asked, 1, 2)).argmax(axis=1) == truth
    sides = truth != 1
    # The bars' places are not quite each other's mirror images, so that chance alone does not decide.
    assert right[sides].mean() > 0.95 if changes == NO_MIRROR else right[sides].mean() < 0.9


def test_colours_are_looked_at_by_their_luma(known):
    pixels, labels = bars(60, seed=1)
    asked = bars(30, seed=2)[0]
    colour = fitted(np.repeat(pixels, 3, axis=-1), labels)
    # Not to the last bit: an empty image is guarded in other units.
    assert np.allclose(scores(colour, np.repeat(asked, 3, axis=-1)), scores(known, asked), atol=0.05)
