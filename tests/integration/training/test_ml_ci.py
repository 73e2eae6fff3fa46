"""What continuous integration of a model should test, by Google's "MLOps: Continuous delivery and automation pipelines
in machine learning" (section "CI"), one test each, on a network small enough for every push."""

import base64
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from contracts.changes import Changes
from contracts.record import Record
from imaging import ImageInput
from imaging.array import canonical
from registry import STABLE, Registry, ServingState
from serving.client import Client
from serving.pod import LocalPod
from tests.integration.training.conftest import MODEL
from training import export
from training.augmentation import augment
from training.family import Family
from training.loop import Predictor, fit
from training.outliers import outliers
from training.run.parent import choices_of, rebuild
from training.run.weights import put_weights
from training.step import Schedule

NETWORK = {"width": 8, "stages": 2}


def build(classes: int = 4, **parameters: int) -> keras.Model:
    return Family.named("residual").build({**NETWORK, **parameters}, ImageInput(32), classes)


def eight() -> tuple[np.ndarray, np.ndarray]:
    """Eight images that look alike, of four classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 1), np.uint8)
    return pixels, (np.arange(8) % 4).astype(np.int32)


def test_feature_logic():
    """The unit: pixels are augmented within their range, by the seed alone, and each as it is within its batch."""
    pixels = eight()[0]
    seed = tf.constant([1, 2])
    changed = augment(pixels, seed, 0.6).numpy()
    assert changed.shape == pixels.shape
    assert changed.min() >= 0 and changed.max() <= 255
    assert np.array_equal(changed, augment(pixels, seed, 0.6).numpy())
    assert not np.allclose(changed, augment(pixels, tf.constant([1, 3]), 0.6).numpy())
    assert np.allclose(changed[5:], augment(pixels[5:], seed, 0.6, Changes(), 8, 5).numpy(), atol=1e-3)
    mirrored = augment(pixels, seed, 0.0).numpy()
    assert all(
        np.allclose(one, other, atol=1e-2) or np.allclose(one, other[:, ::-1], atol=1e-2)
        for one, other in zip(mirrored, pixels, strict=True)
    )
    strange = outliers(5, (32, 32, 1), seed).numpy()
    assert strange.shape == (5, 32, 32, 1) and strange.min() >= 0 and strange.max() <= 255


def test_methods_of_the_model():
    """Each method: built, asked one by one or together, saved as parameters and weights and built again."""
    keras.utils.set_random_seed(0)
    network = build()
    pixels = eight()[0]
    answers = Predictor(network)(pixels)
    assert answers.shape == (8, 4)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
    blank = Predictor(network)(np.zeros((1, 32, 32, 1), np.uint8))
    assert np.isfinite(blank).all(), "an empty picture has an answer too"
    again = build()
    put_weights(again, network.get_weights())
    assert np.allclose(answers, Predictor(again)(pixels), atol=1e-6)
    with pytest.raises(ValueError, match="differ from number"):
        put_weights(build(width=4), network.get_weights())


def test_training_overfits_eight_images():
    """Training converges: the loss goes down, and the network alone learns eight images by heart."""
    keras.utils.set_random_seed(0)
    network = build(landmarks=0)
    plain = Schedule(
        epochs=60, batch=8, learning_rate=5e-3, augmentation=0, outliers=0, dropout=0, label_smoothing=0, patience=60
    )
    history = fit(network, eight(), eight(), plain, seed=0).history
    assert history[-1].loss < history[0].loss / 5
    assert (Predictor(network)(eight()[0]).argmax(axis=1) == eight()[1]).all()


@pytest.mark.parametrize("pixel", [0, 255])
def test_no_weight_becomes_nan(pixel):
    """No division by zero or explosion, even where all images are the same blank and a class has none."""
    network = build()
    blank = np.full((8, 32, 32, 1), pixel, np.uint8), np.zeros(8, np.int32)
    history = fit(network, blank, blank, Schedule(epochs=2, batch=4), seed=0).history
    assert all(np.isfinite([epoch.loss, epoch.validation_loss]).all() for epoch in history)
    assert all(np.isfinite(array).all() for array in network.get_weights())


def test_every_step_yields_its_artifacts(trained: tuple[Registry, Record], place: Path):
    """Each component of the pipeline produces what is expected of it."""
    _, record = trained
    assert record.dataset.statistics["brightness"]  # scan
    assert record.trials[0].history  # train
    assert {"train", "validation", "test"} <= {k for k, v in record.metrics.model_dump().items() if v}  # evaluate
    assert record.verdicts[-1].kind == "gate"
    assert set(record.files) >= {"saved_model.pb", "variables/variables.index"}  # export
    assert record.golden
    assert record.signature
    assert (place / MODEL / "testing" / "1" / "saved_model.pb").is_file()  # publish
    assert [step.name for step in record.steps] == ["scan", "train", "evaluate", "export", "publish"]


def test_training_registry_and_serving_agree(trained: tuple[Registry, Record], place: Path, tmp_path: Path):
    """The components together: the same pixels get the same probabilities where they are trained and where served."""
    shutil.copytree(place, tmp_path / "copy")
    registry, record = Registry.open(str(tmp_path / "copy"), MODEL), trained[1]
    registry.copy_to_production(1)
    registry.write_serving(ServingState((1,), {STABLE: 1}, registry.serving().generation))
    network = rebuild(registry, record, *choices_of(record, None))
    images = [base64.b64decode(golden.image) for golden in record.golden]
    pixels = np.stack([canonical(image, record.image_size) for image in images])
    temperature = record.evaluation.temperature or 1.0
    logits = network(pixels.astype(np.float32), training=False)
    expected = tf.nn.softmax(logits / temperature).numpy()
    stored = export.answers(registry.fetch(1, tmp_path / "fetched"), pixels)
    assert np.allclose(stored, expected, atol=1e-5)
    with LocalPod(registry.models_config(), MODEL, tmp_path / "logs") as pod, Client(pod.address) as client:
        for image, row in zip(images, expected, strict=True):
            scores = client.classify(image).scores
            assert [scores[label] for label in record.labels] == pytest.approx(row, abs=1e-5)
