"""A model's own network, as somebody pastes it: what works around it, and what is said of one that can't be trained."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import models
from cli import DataRefused, Exit, UsageError
from imaging import ImageInput
from models.templates import network_py
from registry import Registry
from tests.integration.training.yards import write_model
from tests.warm import Program
from training.export import answers, export
from training.family import Family
from training.loop import Predictor, Stopped, fit
from training.networks import contract
from training.networks.check import check
from training.networks.own import BadNetwork
from training.seeds import generators_of
from training.state import State
from training.step import Schedule, without_effect

IMAGE = ImageInput(16)
LABELS = ["a", "b", "c"]
SCHEDULE = Schedule(epochs=3, batch=8)
HEAD = "import keras\nfrom keras import layers, ops\nimport tensorflow as tf\n"
# Nested, without an input of its own, with whatever draws random numbers or normalises.
PASTED = (
    HEAD
    + """
def build(parameters, image, classes):
    convolutions = keras.Sequential([
        layers.Conv2D(4, 3, strides=2, use_bias=False, kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.SpatialDropout2D(0.2),
    ])
    return keras.Sequential([
        layers.Rescaling(1 / 255),
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.05),
        layers.RandomSharpness(0.3),
        layers.GaussianNoise(0.1),
        convolutions,
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(classes),
    ])
"""
)
MODEL_TOML = 'task = "one label"\n[input]\nsize = 16\n[schedule]\nbatch = 16\n'


def family(folder: Path, source: str) -> Family:
    file = folder / "network.py"
    file.write_text(source)
    return Family.own(file)


@pytest.fixture(scope="module")
def pasted(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return family(tmp_path_factory.mktemp("pasted"), PASTED)


def labelled(images: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(images)
    return random.integers(0, 256, (images, 16, 16, 1), np.uint8), (np.arange(images) % 3).astype(np.int32)


def fitted(own: Family, schedule: Schedule = SCHEDULE, **options) -> tuple[keras.Model, State]:
    keras.utils.set_random_seed(0)
    network = own.build({}, IMAGE, 3)
    return network, fit(network, labelled(24), labelled(9), schedule, seed=0, **options)


@pytest.fixture(scope="module")
def whole(pasted: Family) -> tuple[keras.Model, list[State]]:
    """A complete run, and its states after each epoch."""
    saved: list[State] = []
    network, _ = fitted(pasted, save=lambda state, urgent: saved.append(State.from_bytes(state.to_bytes())))
    return network, saved


def same(one: keras.Model, other: keras.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_pasted_network_has_nothing_that_is_lacking(pasted):
    assert contract.lacks(pasted.build({}, IMAGE, 3), IMAGE, LABELS) == []


def test_network_that_a_new_model_begins_with_lacks_nothing_and_sees_no_exposure(tmp_path):
    """Brightness tells no class unless [changes] says so: model tests reject who takes a darker picture for another."""
    network = family(tmp_path, network_py("leaves")).build({}, IMAGE, 3)
    assert contract.lacks(network, IMAGE, LABELS) == []
    pixels = labelled(6)[0].astype(np.float32)
    assert np.allclose(network(pixels), network(pixels * 0.5), atol=1e-3)


@pytest.mark.parametrize(
    "layer",
    [
        "RandomSharpness(0.3)",
        "RandomPosterization(4)",
        "RandomGrayscale()",
        "RandomHue(0.1)",
        "RandomSaturation(0.3)",
        "RandomColorDegeneration(0.5)",
    ],
)
def test_layer_that_draws_when_it_is_asked_too_is_served_without_its_seeds(tmp_path, layer):
    """Keras' own draw a number at each call, and use it in training alone."""
    image = ImageInput(16, 3)
    source = f"def build(p, i, c):\n    return keras.Sequential([layers.{layer}, layers.Flatten(), layers.Dense(c)])\n"
    network = family(tmp_path, HEAD + source).build({}, image, 3)
    assert contract.lacks(network, image, LABELS) == []
    (seeds,) = generators_of(network)
    before = np.asarray(seeds.state)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    asked = [Predictor(network)(pixels) for _ in range(2)]
    export(network, LABELS, tmp_path / "model", "leaves", pixels, image)
    assert np.array_equal(np.asarray(seeds.state), before)
    served = [answers(tmp_path / "model", pixels) for _ in range(2)]
    assert np.array_equal(asked[0], asked[1]) and np.array_equal(served[0], served[1])
    assert np.allclose(served[0], asked[0], atol=1e-6)
    network(pixels.astype(np.float32), training=True)
    assert not np.array_equal(np.asarray(seeds.state), before)


def test_training_is_repeated_bit_for_bit_from_any_moment(pasted, whole):
    """Layers that draw random numbers go on from where they were too."""
    network, saved = whole
    asked = iter([False] * 4 + [True])
    within: list[State] = []
    with pytest.raises(Stopped):
        fitted(pasted, stop=lambda: next(asked), save=lambda state, urgent: within.append(state))
    assert (saved[0].step, within[-1].step) == (3, 4)
    assert saved[0].random and not np.array_equal(saved[0].random[0], saved[1].random[0])
    for state in (saved[0], within[-1]):
        assert same(network, fitted(pasted, state=state)[0])


def test_normalisation_is_that_of_plain_training_images_without_noise(whole):
    pixels = labelled(24)[0].astype(np.float32) / 255
    convolution, normalisation, *_ = whole[0].layers[6].layers
    seen = np.asarray(convolution(pixels))
    mean, variance = normalisation.get_weights()[2:]
    assert np.allclose(mean, seen.mean(axis=(0, 1, 2)), atol=1e-4)
    assert np.allclose(variance, seen.var(axis=(0, 1, 2)), atol=1e-4)


def test_regularizers_of_layers_take_part_in_the_loss(tmp_path, whole):
    strong = family(tmp_path, PASTED.replace('"l2"', "keras.regularizers.L2(10.0)"))
    _, state = fitted(strong, replace(SCHEDULE, epochs=1))
    assert state.history[0].loss > whole[1][0].history[0].loss + 1


@pytest.mark.parametrize(
    "source",
    [
        # Functional, in colour.
        """
def build(parameters, image, classes):
    pixels = keras.Input(image.shape)
    return keras.Model(pixels, layers.Dense(classes)(layers.Flatten()(pixels / 255)))
""",
        # A class of one's own.
        """
class Own(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flat, self.dense = layers.Flatten(), layers.Dense(classes)
    def call(self, pixels):
        return self.dense(self.flat(pixels / 255))

def build(parameters, image, classes):
    return Own(classes)
""",
        """
def build(parameters, image, classes):
    pixels = keras.Input(image.shape)
    return keras.Model([pixels], [layers.Dense(classes)(layers.Flatten()(pixels / 255))])
""",
        """
def build(parameters, image, classes):
    pixels = keras.Input(image.shape, name="picture")
    return keras.Model({"picture": pixels}, {"logits": layers.Dense(classes)(layers.Flatten()(pixels / 255))})
""",
    ],
    ids=["functional", "class", "a list of one", "a dict"],
)
def test_other_ways_to_write_a_network_work(tmp_path, source):
    image = ImageInput(16, 3, "pad")
    network = family(tmp_path, HEAD + source).build({}, image, 3)
    assert contract.lacks(network, image, LABELS) == []
    assert Predictor(network)(np.zeros((2, 16, 16, 3), np.uint8)).shape == (2, 3)


def test_parameters_of_ones_own_have_defaults_and_are_checked(tmp_path):
    source = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Parameters:
    width: int = 4
    rate: float = 0.5

def build(parameters, image, classes):
    return keras.Sequential([layers.Flatten(), layers.Dense(parameters.width), layers.Dense(classes)])

def space(parameters, image):
    return {"width": [4, 8], "size": [16]}
"""
    own = family(tmp_path, HEAD + source)
    assert own.complete({"rate": 1}) == {"width": 4, "rate": 1.0}
    assert own.build({"width": 7}, IMAGE, 3).layers[2].units == 7
    assert own.space({}, IMAGE) == {"width": [4, 8], "size": [16]}
    with pytest.raises(ValueError, match=r"no parameter 'widht'; did you mean 'width'"):
        own.complete({"widht": 4})
    with pytest.raises(ValueError, match=r"Expected a whole number for width\. Received: 'a'"):
        own.complete({"width": "a"})


def test_dropout_of_the_schedule_has_no_effect_without_a_head_of_ours(tmp_path, pasted):
    from contracts.changes import Changes

    assert without_effect(pasted.build({}, IMAGE, 3), Changes()) == ["dropout"]
    with_head = """
from training.head import Head

def build(parameters, image, classes):
    return keras.Sequential([keras.Input(image.shape), layers.Flatten(), Head(classes)])
"""
    network = family(tmp_path, HEAD + with_head).build({}, IMAGE, 3)
    assert without_effect(network, Changes(turn=0, shift=0, zoom=0, brightness=0)) == ["augmentation"]
    keras.utils.set_random_seed(0)
    fit(network, labelled(24), labelled(9), replace(SCHEDULE, epochs=1), seed=0)


UNLOADABLE = {
    "no Python": ("def build(:", r"SyntaxError in line 1"),
    "an import that fails": ("import nowhere", r"ModuleNotFoundError in line 1: No module named 'nowhere'"),
    "no build": ("x = 1", r"has no function build\(parameters, image, classes\)"),
    # Which would end the command, and as if all were well.
    "an exit": ("import sys\nsys.exit(0)", r"can't be loaded: SystemExit in line 2: 0"),
}
UNBUILDABLE = {
    "raises": ("def build(p, i, c):\n    return 1 / 0", r"build of .*network\.py raised ZeroDivisionError in line 5"),
    "raises in a layer": (
        "class Own(layers.Layer):\n    def call(self, x):\n        raise RuntimeError('too deep')\n"
        "def build(p, i, c):\n    return keras.Sequential([keras.Input(i.shape), Own()])",
        r"raised RuntimeError in line 6: too deep",
    ),
    "exits": ("def build(p, i, c):\n    raise SystemExit(0)", r"build of .*network\.py raised SystemExit in line 5: 0"),
    "no network": ("def build(p, i, c):\n    return 5", r"returned int, expected a keras\.Model"),
    "another input": (
        "def build(p, i, c):\n    return keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(c)])",
        r"can't take pixels float32 \[N, 16, 16, 1\], which is what \[input\]",
    ),
}
LAYER = "class Own(layers.Layer):\n"
LACKING = {
    "a wrong number of classes": ("layers.Flatten(), layers.Dense(7)", "", r"gives \[N, 7\], expected logits \[N, 3\]"),
    "a map": ("layers.Conv2D(3, 3)", "", r"gives \[N, 14, 14, 3\], expected logits"),
    "nothing to learn": ("layers.Flatten(), layers.Lambda(lambda x: x[:, :3])", "", r"no weights that learn"),
    "probabilities": (
        'layers.Flatten(), layers.Dense(c, activation="softmax")',
        "",
        r"gives probabilities, expected logi",
    ),
    "a tanh": ('layers.Flatten(), layers.Dense(c, "tanh")', "", r"values between -1 and 1, expected logits"),
    "sigmoids": ('layers.Flatten(), layers.Dense(c, "sigmoid")', "", r"values between 0 and 1, expected logits"),
    "a division by zero": (
        "layers.Flatten(), layers.Lambda(lambda x: x / ops.mean(x, axis=1, keepdims=True)), layers.Dense(c)",
        "",
        r"an all black or an all white picture is not finite",
    ),
    "others in the batch": (
        "Own(), layers.Flatten(), layers.Dense(c)",
        LAYER + "    def call(self, x):\n        return x - ops.mean(x, axis=0)\n",
        r"depends on which others are asked at once",
    ),
    "an operation that may not be": (
        "Own(), layers.Flatten(), layers.Dense(c)",
        LAYER
        + "    def call(self, x):\n        y = tf.numpy_function(lambda v: v / 255, [x], tf.float32, stateful=False)\n"
        + "        return tf.ensure_shape(y, x.shape)\n",
        r"uses the operation PyFunc.*calls Python code",
    ),
    "a variable that changes when served": (
        "Own(), layers.Flatten(), layers.Dense(c)",
        LAYER
        + "    def build(self, shape):\n        self.asked = self.add_weight(name='asked', trainable=False)\n"
        + "    def call(self, x):\n        self.asked.assign_add(1.0)\n        return x\n",
        r"changes variables when it is served \(.*asked\)",
    ),
    "noise when served": (
        "Own(), layers.Flatten(), layers.Dense(c)",
        LAYER + "    def call(self, x):\n        return layers.GaussianNoise(1.0)(x, training=True)\n",
        r"answers at random when it is served",
    ),
    "dropout of TensorFlow": (
        "layers.Flatten(), layers.Lambda(lambda x: tf.nn.dropout(x, 0.3)), layers.Dense(c)",
        "",
        r"answers at random when it is served",
    ),
    "random numbers of TensorFlow": (
        "Own(), layers.Flatten(), layers.Dense(c)",
        LAYER
        + "    def call(self, x, training=False):\n"
        + "        return x + tf.random.normal(tf.shape(x)) if training else x\n",
        r"random numbers that no seed of a training reaches \(RandomStandardNormal\)",
    ),
    "random numbers of nobody": (
        "Own(), layers.Flatten(), layers.Dense(c)",
        LAYER
        + "    def call(self, x, training=False):\n"
        + "        return x + keras.random.normal(ops.shape(x)) if training else x\n",
        r"random numbers that no seed of a training reaches \(keras\.random without a seed\)",
    ),
    "a variable of nobody": (
        "Own(), layers.Flatten(), layers.Dense(c)",
        "scale = tf.Variable(1.0, name='scale')\n" + LAYER + "    def call(self, x):\n        return x * scale\n",
        r"uses the variable scale.*none of its layers holds",
    ),
    "a weight without effect": (
        "layers.Flatten(), Own(), layers.Dense(c)",
        LAYER
        + "    def build(self, shape):\n        self.spare = self.add_weight(name='spare')\n"
        + "    def call(self, x):\n        return x\n",
        r"weight .*spare has no effect on the logits",
    ),
}


DATACLASS = "from dataclasses import dataclass, field\n@dataclass(frozen=True)\nclass Parameters:\n"
BUILD = "def build(p, i, c):\n    return keras.Sequential([layers.Flatten(), layers.Dense(c)])\n"
# What stands beside build, and is not as training/networks says; what is asked of it, and what is said.
OPTIONAL = {
    "parameters that are no dataclass": (
        "class Parameters:\n    width = 4\n",
        "build",
        r"must be a dataclass .*no dataclass",
    ),
    "a parameter without a default": (
        DATACLASS + "    width: int\n",
        "build",
        r"must be a dataclass .*'width' has none",
    ),
    "a parameter of None": (DATACLASS + "    width: int | None = None\n", "build", r"plain: .*'width' has None"),
    "parameters that assert": (
        DATACLASS + "    width: int = 4\n    def __post_init__(self):\n        assert self.width > 4, 'too thin'\n",
        "build",
        r"Parameters of .*network\.py raised AssertionError in line 9: too thin",
    ),
    "a schedule of nothing": (
        "SCHEDULE = 5\n",
        "schedule",
        r"SCHEDULE of .* must be a dict of values by name. Received: 5",
    ),
    "a schedule of another kind": (
        "SCHEDULE = {'epochs': 'ten'}\n",
        "schedule",
        r"SCHEDULE of .*network\.py: Expected a whole number for epochs\. Received: 'ten'",
    ),
    "trials of nothing": (
        "def trials(p, i, s): return None\n",
        "trials",
        r"must give \[\(parameters, image, schedule\)",
    ),
    "trials of numbers": (
        "def trials(p, i, s): return [1, 2]\n",
        "trials",
        r"must give \[\(parameters, image, schedule\)",
    ),
    "a space without names": (
        "def space(p, i): return [1, 2]\n",
        "space",
        r"must give a dict of lists by name. Received: \[1",
    ),
    "a space without choices": (
        "def space(p, i): return {'size': 5}\n",
        "space",
        r"gives no choice of a parameter by 'size'",
    ),
    "choices of another kind": (
        "def space(p, i): return {'size': [16, '32']}\n",
        "space",
        r"offers '32' for 'size', expected .* 16",
    ),
    "weights of nothing": (
        "def pretrained(p, i): return 5\n",
        "pretrained",
        r"pretrained of .* returned int, expected",
    ),
}


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_a_network_may_say_beside_is_checked_too(tmp_path, name):
    source, asked, expected = OPTIONAL[name]
    own = family(tmp_path, HEAD + source + BUILD)
    ask = {
        "build": lambda: own.build({}, IMAGE, 3),
        "schedule": lambda: own.schedule({}),
        "trials": lambda: own.trials({}, IMAGE, SCHEDULE),
        "space": lambda: own.space({}, IMAGE),
        "pretrained": lambda: own.pretrained({}, IMAGE),
    }
    with pytest.raises(BadNetwork, match=expected):
        ask[asked]()


@pytest.mark.parametrize("name", UNLOADABLE)
def test_network_that_cannot_be_loaded_is_said_in_a_sentence(tmp_path, name):
    source, expected = UNLOADABLE[name]
    with pytest.raises(BadNetwork, match=expected):
        family(tmp_path, source)


@pytest.mark.parametrize("name", UNBUILDABLE)
def test_network_that_cannot_be_built_is_said_in_a_sentence(tmp_path, name):
    source, expected = UNBUILDABLE[name]
    with pytest.raises(BadNetwork, match=expected):
        family(tmp_path, HEAD + source).build({}, IMAGE, 3)


@pytest.mark.parametrize(
    "layer",
    ["LayerNormalization()", "GroupNormalization(1)", "Lambda(lambda x: tf.image.per_image_standardization(x))"],
)
def test_network_whose_features_are_small_is_not_taken_for_one_of_probabilities(tmp_path, layer):
    listed = f"layers.{layer}, layers.GlobalAveragePooling2D(), layers.Dense(c)"
    source = f"{HEAD}def build(p, i, c):\n    return keras.Sequential([keras.Input(i.shape), {listed}])\n"
    image = ImageInput(16, 3)
    assert contract.lacks(family(tmp_path, source).build({}, image, 3), image, LABELS) == []


@pytest.mark.parametrize("name", LACKING)
def test_what_a_network_lacks_is_said_in_a_sentence(tmp_path, name):
    listed, before, expected = LACKING[name]
    source = f"{HEAD}{before}def build(p, i, c):\n    return keras.Sequential([keras.Input(i.shape), {listed}])\n"
    network = family(tmp_path, source).build({}, IMAGE, 3)
    (sentence, *_) = contract.lacks(network, IMAGE, LABELS)
    assert __import__("re").search(expected, sentence), sentence


def test_train_says_what_a_network_lacks_before_it_looks_at_an_image(sample, tmp_path, monkeypatch, capsys):
    from training.train import train

    softmax = PASTED.replace("layers.Dense(classes)", 'layers.Dense(classes, activation="softmax")')
    write_model(tmp_path, "leaves", MODEL_TOML, softmax)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"leaves/network\.py: It gives probabilities, expected logits"):
        train(dataset=str(sample), registry=str(tmp_path / "registry"), model="leaves")
    assert "Checking images" not in capsys.readouterr().err
    assert Registry.open(str(tmp_path / "registry"), "leaves").records() == []


@pytest.mark.parametrize(
    ("then", "told"),
    [("", "network.py: It has started a thread that goes on (mine)"), ("raise ValueError('no')\n", "no")],
)
def test_check_ends_although_a_network_has_started_a_thread_that_does_not(tmp_path, then, told):
    started = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), name='mine').start()\n"
    write_model(tmp_path, "leaves", MODEL_TOML, PASTED + started + then)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "training.networks.check", "--model", "leaves"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == Exit.USAGE, ended.stderr
    assert told in ended.stderr


def test_train_knows_the_classes_of_folders_by_patient(tmp_path, monkeypatch):
    from training.train import train

    for place in ("A/p1/1.png", "B/p2/2.png"):
        (tmp_path / "scans" / place).parent.mkdir(parents=True)
        (tmp_path / "scans" / place).write_bytes(b"")
    groups = '[dataset]\nuri = "scans"\ngroups = "folder"\n'
    write_model(tmp_path, "scans", MODEL_TOML + groups, PASTED.replace("Dense(classes)", "Dense(9)"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"It gives \[N, 9\], expected logits \[N, 2\]"):
        train(registry=str(tmp_path / "registry"), model="scans")


@pytest.mark.parametrize(("uri", "known"), [("digits", True), ("images.dvc", False), ("gs://bucket/images", False)])
def test_network_written_for_a_number_of_classes_is_held_to_the_datasets_where_it_is_here(
    tmp_path, monkeypatch, uri, known
):
    (tmp_path / "images.dvc").write_text("outs: []\n")
    for name, classes in (("ten", 10), ("nine", 9)):
        network = PASTED.replace("Dense(classes)", f"Dense({classes})")
        write_model(tmp_path, name, f'{MODEL_TOML}[dataset]\nuri = "{uri}"\n', network)
    monkeypatch.chdir(tmp_path)
    assert check(models.find("ten")) == []
    assert [("expected logits [N, 10]" in told) for told in check(models.find("nine"))] == [True] * known


def test_network_that_needs_more_memory_than_there_is_is_said_and_not_killed(tmp_path, monkeypatch):
    large = PASTED.replace("layers.Flatten(),", "layers.Flatten(), layers.Dense(1_000_000),")
    write_model(tmp_path, "large", f'{MODEL_TOML}[dataset]\nuri = "digits"\n', large)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cli.machine.memory", lambda: 200 << 20)
    (told,) = check(models.find("large"))
    assert "network.py" in told and ("ResourceExhaustedError" in told or "MemoryError" in told)


def test_own_network_is_trained_repeated_and_trained_on(sample, tmp_path, monkeypatch, capsys):
    """By the commands, from its folder to a retrained candidate; a network that was changed since is no parent, nor one
    of which the file beside it was."""
    from training.retrain import retrain
    from training.train import train

    beside = "from .blocks import SCALE\n" + PASTED.replace("1 / 255", "SCALE")
    folder = write_model(tmp_path, "leaves", MODEL_TOML, beside)
    (folder / "blocks.py").write_text("SCALE = 1 / 255\n")
    monkeypatch.chdir(tmp_path)
    place, gate = str(tmp_path / "registry"), {"min_accuracy": 0.0, "min_recall": 0.0}
    train(dataset=str(sample), registry=place, model="leaves", epochs=2, **gate)
    assert "dropout of [schedule] has no effect on this network" in capsys.readouterr().err
    registry = Registry.open(place, "leaves")
    record = registry.record(1)
    assert (record.state, record.parameters["family"], record.image_size) == ("candidate", "own", 16)
    train(dataset=str(sample), registry=place, model="leaves", reproduce=1)
    assert "bit for bit" in capsys.readouterr().err
    retrain(dataset=str(sample), registry=place, model="leaves", epochs=1, **gate)
    again = registry.record(2)
    assert (again.state, again.parent) == ("candidate", 1)
    assert again.metrics.baseline == record.metrics.test
    assert (again.held_out, again.judged) == (record.held_out, 2)
    # The same weights would fit.
    (folder / "blocks.py").write_text("SCALE = 1 / 25\n")
    with pytest.raises(DataRefused, match=r"its network was another one.*run train"):
        retrain(dataset=str(sample), registry=place, model="leaves", epochs=1, **gate)


def test_several_replicas_repeat_what_as_many_did(pasted):
    """Their layers draw for each replica, so that one alone comes to other weights."""
    done = Program("tests.integration.training.replicas", str(pasted.file)).ended(240)
    assert done.returncode == 0, done.stderr[-3000:]
