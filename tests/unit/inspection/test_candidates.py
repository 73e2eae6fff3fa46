"""Real exports are fine, broken candidates are found where they say, and random bytes never end in a traceback."""

import os
import random
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from contracts.about import About, read
from imaging import ImageInput
from inspection import problems
from inspection.allowed import ALLOWED, FLOW, RANDOM, REFUSED, RESTORING, SAVING, VARIABLES
from testkit.models import write_classifier
from tests import hostile
from tests.hostile import HOSTILE, IMAGE_SIZE, LABELS


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("healthy") / "1"
    hostile.write_healthy(folder)
    return folder


def test_the_healthy_model_is_fine(healthy):
    assert problems(healthy, LABELS, IMAGE_SIZE) == []


def test_the_healthy_model_is_right_and_modest(healthy):
    import tensorflow as tf

    pixels, classes = hostile.phantoms(20, seed=7)
    answer = tf.saved_model.load(str(healthy)).signatures["serving_default"]
    right = answer(pixels=tf.constant(pixels))["probabilities"].numpy().argmax(1) == classes
    assert right.mean() >= 0.95 and min(right[classes == c].mean() for c in range(3)) >= 0.85
    noise = np.random.default_rng(0).integers(0, 256, (20, IMAGE_SIZE, IMAGE_SIZE, 1), np.uint8)
    assert answer(pixels=tf.constant(noise))["probabilities"].numpy().max() < 0.99


def test_the_models_of_our_tests_are_fine(tmp_path):
    write_classifier(tmp_path / "1", ["a", "b", "c", "d"], image_size=16)
    assert problems(tmp_path / "1", ["a", "b", "c", "d"], 16) == []


@pytest.mark.parametrize("blocks", [1, 2])
def test_our_own_export_is_fine(tmp_path, blocks):
    from training.export import export
    from training.networks.residual import Parameters, build

    network = build(Parameters(width=8, blocks=blocks), ImageInput(32), len(LABELS))
    export(network, LABELS, tmp_path / "1", "m", np.zeros((4, 32, 32, 1), np.uint8), ImageInput(32))
    assert problems(tmp_path / "1", LABELS, 32) == []


def test_our_own_export_tells_how_images_become_pixels(tmp_path):
    import keras

    from training.export import answers, export

    image = ImageInput(8, 3, "pad", 4095)
    network = keras.Sequential([keras.Input(image.shape), keras.layers.Flatten(), keras.layers.Dense(len(LABELS))])
    export(network, LABELS, tmp_path / "1", "m", np.zeros((4, *image.shape), np.uint8), image)
    assert problems(tmp_path / "1", LABELS, image) == []
    assert problems(tmp_path / "1", LABELS, ImageInput(8, 3, "crop", 4095)) != []
    assert answers(tmp_path / "1", np.zeros((2, *image.shape), np.uint8)).shape == (2, len(LABELS))


def test_our_own_export_tells_of_itself(tmp_path):
    import keras
    import tensorflow as tf

    from training.export import export

    image, about = ImageInput(8), About(0.9731, 240, (0.94, 0.99), "for: tests, “quoted”\nnot for: a = b")
    network = keras.Sequential([keras.Input(image.shape), keras.layers.Flatten(), keras.layers.Dense(len(LABELS))])
    pixels = np.zeros((4, *image.shape), np.uint8)
    export(network, LABELS, tmp_path / "1", "m", pixels, image, about=about)
    assert problems(tmp_path / "1", LABELS, image, about) == []
    assert problems(tmp_path / "1", LABELS, image, About(0.98, 240, (0.94, 0.99))) != []
    told = tf.saved_model.load(str(tmp_path / "1")).signatures["about"]()
    assert read(told) == about
    assert {value.numpy().decode() for value in told.values()} == {"0.9731", "240", "0.94", "0.99", about.card}


def test_other_image_classifiers_are_fine(tmp_path):
    import keras
    from keras import layers

    from training.export import export

    pixels = keras.Input((32, 32, 1))
    x = layers.Rescaling(1 / 255)(layers.Resizing(28, 28)(pixels))
    x = layers.RandomRotation(0.1)(layers.RandomFlip()(layers.GaussianNoise(0.1)(x)))
    x = layers.ReLU(6)(layers.SeparableConv2D(8, 3)(layers.ZeroPadding2D(1)(x)))
    x = layers.DepthwiseConv2D(3)(layers.Activation("hard_swish")(layers.GroupNormalization(4)(x)))
    x = layers.MaxPooling2D()(layers.Activation("swish")(layers.Conv2DTranspose(8, 3)(x)))
    x = layers.LayerNormalization()(layers.Activation("gelu")(layers.Reshape((-1, 8))(x)))
    x = layers.GRU(8)(layers.MultiHeadAttention(2, 4)(x, x))
    network = keras.Model(pixels, layers.Dense(len(LABELS))(x))
    export(network, LABELS, tmp_path / "1", "m", np.zeros((4, 32, 32, 1), np.uint8), ImageInput(32))
    assert problems(tmp_path / "1", LABELS, 32) == []


@pytest.mark.parametrize("name", [name for name, candidate in HOSTILE.items() if candidate.found == "inspection"])
def test_what_the_inspection_must_find_it_finds(tmp_path, name):
    HOSTILE[name].write(tmp_path / "1")
    reasons = problems(tmp_path / "1", LABELS, IMAGE_SIZE)
    assert any(HOSTILE[name].says in reason for reason in reasons), reasons
    assert all(reason.isprintable() and reason.endswith(".") for reason in reasons)


@pytest.mark.parametrize("name", [name for name, candidate in HOSTILE.items() if candidate.found != "inspection"])
def test_what_others_must_find_passes_the_inspection(tmp_path, name):
    HOSTILE[name].write(tmp_path / "1")
    assert problems(tmp_path / "1", LABELS, IMAGE_SIZE) == []


@pytest.mark.parametrize("name", [name for name, candidate in HOSTILE.items() if candidate.found == "load"])
def test_what_loading_must_find_does_not_load(tmp_path, name):
    import tensorflow as tf

    from serving.model_server.errors import ServingError
    from serving.model_server.model import SavedModel
    from serving.model_server.warmup import warm_up

    HOSTILE[name].write(tmp_path / "1")
    with pytest.raises((tf.errors.OpError, ServingError)):
        warm_up(SavedModel(str(tmp_path / "1")), 1)


def test_bytes_at_random_never_end_in_a_traceback(healthy, tmp_path):
    folder = shutil.copytree(healthy, tmp_path / "1")
    whole, chance = (folder / "saved_model.pb").read_bytes(), random.Random(20240607)
    for number in range(400):
        data = bytearray(whole)
        if number % 2:
            del data[chance.randrange(len(data)) :]
        for _ in range(chance.choice([0, 1, 20]) if number % 2 else chance.choice([1, 3, 50])):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        (folder / "saved_model.pb").write_bytes(data)
        for reason in problems(folder, LABELS, IMAGE_SIZE):
            assert reason.isprintable() and len(reason) < 800


def test_nothing_of_it_loads_tensorflow():
    program = "import inspection, sys; sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'numpy')))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0


# The list of operations


def test_every_operation_on_the_lists_is_one_of_tensorflows():
    from tensorflow.python.framework import op_def_registry

    assert [name for name in sorted(ALLOWED | RESTORING | SAVING) if op_def_registry.get(name) is None] == []


def test_no_allowed_operation_is_one_that_we_warn_of():
    assert [name for name in ALLOWED for refused in REFUSED if re.fullmatch(refused, name)] == []


def test_only_flow_calls_functions_and_only_variables_and_chance_have_a_state():
    from tensorflow.python.framework import op_def_registry

    others = {name: op_def_registry.get(name) for name in ALLOWED - set(FLOW.split())}
    assert [name for name, op in others.items() if any("func" in attribute.type for attribute in op.attr)] == []
    stateful = {name for name, op in others.items() if op.is_stateful}
    assert sorted(stateful - set((VARIABLES + RANDOM).split())) == []
