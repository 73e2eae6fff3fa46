"""What a network must keep to, found out by building, asking, training and exporting it: a matter of seconds."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import inspection
from imaging import ImageInput
from training import export
from training.networks.own import sentence
from training.seeds import generators_of

_PICTURES = 6
_SEED = 0
# Of answers, relative to their size; larger differences are none of rounding.
_ROUNDING = 1e-3
# Weights are made so much larger than usual, to see whether answers stay between 0 and 1.
_LARGER = 1.5
# Operations whose random numbers come from a state inside of TensorFlow, which no checkpoint holds.
_UNSEEDED = re.compile(
    r"(Parameterized)?TruncatedNormal|Random(Uniform|StandardNormal|UniformInt|Shuffle|Crop|Gamma|Poisson)(V2)?"
    r"|Multinomial|Rng\w+|Stateful(Uniform|Standard|Truncated|Random)\w*"
)
_ASSIGNS = re.compile(r"Assign(Add|Sub)?VariableOp|Resource(Scatter|Apply)\w+")
_FLOATS = {"float32", "float64", "float16"}


def lacks(network: keras.Model, image: ImageInput, labels: Sequence[str]) -> list[str]:
    """What keeps `network`, built for `image` and the classes `labels`, from being trained and served: a sentence each.

    Its weights are other ones afterwards.
    """
    if reason := _of_shape(network, len(labels)):
        return [reason]
    keras.utils.set_random_seed(_SEED)
    pictures = _pictures(image)
    for part in (_of_answers, _of_serving, _of_training):
        try:
            reasons = list(part(network, pictures))
        except Exception as error:  # whatever the layers of somebody's network raise
            reasons = [f"It fails on {_PICTURES} pictures: {_line(error)}."]
        if reasons:
            return reasons
    return list(_of_export(network, image, pictures, labels))


def _of_shape(network: keras.Model, classes: int) -> str | None:
    shape = network.output_shape
    if shape != (None, classes):
        listed = f"[N, {', '.join(map(str, shape[1:]))}]" if isinstance(shape, tuple) else "several outputs"
        return f"It gives {listed}, expected logits [N, {classes}]: end it with Dense(classes)."
    if not network.trainable_variables:
        return "It has no weights that learn."
    # bfloat16 has no place in the files of a run.
    strange = [v for v in network.weights if "float" in v.dtype and v.dtype not in _FLOATS]
    return f"Its weight {strange[0].path} is {strange[0].dtype}; make it float32." if strange else None


def _of_answers(network: keras.Model, pictures: np.ndarray) -> Iterator[str]:
    answers = _asked(network, pictures)
    if answers.dtype != np.float32:
        yield f"Its logits are {answers.dtype}, expected float32: give the last layer dtype='float32'."
        return
    if not np.isfinite(answers).all():
        yield "Its answer to an ordinary, an all black or an all white picture is not finite: look for divisions by 0."
        return
    if not np.allclose(answers, _asked(network, pictures), rtol=_ROUNDING, atol=_ROUNDING):
        yield "It answers at random when it is served: let the layer that draws random numbers decide by `training`."
        return
    alone = np.concatenate([_asked(network, picture[None]) for picture in pictures])
    if not np.allclose(answers, alone, rtol=_ROUNDING, atol=_ROUNDING * max(1.0, float(np.abs(answers).max()))):
        yield (
            "Its answer to a picture depends on which others are asked at once: let layers such as "
            "BatchNormalization decide by `training`."
        )
    weights = network.get_weights()
    network.set_weights([_larger(variable, value) for variable, value in zip(network.weights, weights, strict=True)])
    answers = _asked(network, pictures)
    network.set_weights(weights)
    if np.isfinite(answers).all() and answers.min() >= 0 and answers.max() <= 1:
        what = "probabilities" if np.allclose(answers.sum(axis=1), 1, atol=1e-3) else "values between 0 and 1"
        yield f"It gives {what}, expected logits: leave out the softmax or sigmoid at its end."
    elif np.isfinite(answers).all() and np.abs(answers).max() <= 1:
        yield "It gives values between -1 and 1, expected logits, which may be any: leave out the tanh at its end."


def _of_serving(network: keras.Model, pictures: np.ndarray) -> Iterator[str]:
    ask = tf.function(lambda pixels: network(pixels, training=False))
    graph = ask.get_concrete_function(tf.TensorSpec([None, *pictures.shape[1:]], tf.float32)).graph
    yield from _foreign(network, graph)
    operations = _operations(graph)
    if unseeded := sorted(filter(_UNSEEDED.fullmatch, operations)):
        yield f"It answers at random when it is served ({unseeded[0]}): let the layer decide by `training`."
    if any(map(_ASSIGNS.fullmatch, operations)):
        # Nobody writes to seeds when it is served (training.seeds), and they have no part in its answers.
        seeds = {generator.state.path for generator in generators_of(network)}
        before = [np.asarray(variable.value) for variable in network.variables]
        ask(pictures)
        changed = [
            variable.path
            for variable, old in zip(network.variables, before, strict=True)
            if not np.array_equal(np.asarray(variable.value), old, equal_nan=True) and variable.path not in seeds
        ]
        if not changed and seeds:
            return
        name = f" ({changed[0]})" if changed else ""
        yield (
            f"It changes variables when it is served{name}, so that answers would depend on earlier requests: change "
            "them if `training` alone."
        )


def _of_training(network: keras.Model, pictures: np.ndarray) -> Iterator[str]:
    variables = network.trainable_variables
    without: list[str] = []

    @tf.function
    def learn(pixels: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.nn.log_softmax(network(pixels, training=True))[:, 0])
        found = tape.gradient(loss, variables)
        without.extend(v.path for v, gradient in zip(variables, found, strict=True) if gradient is None)
        return [gradient for gradient in found if gradient is not None]

    graph = learn.get_concrete_function(tf.TensorSpec([None, *pictures.shape[1:]], tf.float32)).graph
    yield from _foreign(network, graph)
    if unseeded := sorted(filter(_UNSEEDED.fullmatch, _operations(graph))):
        yield (
            f"It draws random numbers that no seed of a training reaches ({unseeded[0]}), so that it could be neither "
            "resumed nor repeated: use layers of Keras, or keras.random with a SeedGenerator that a layer holds."
        )
    if without:
        yield f"Its weight {without[0]} has no effect on the logits that could be learnt; take it out."
    learn(pictures)


def _of_export(network: keras.Model, image: ImageInput, pictures: np.ndarray, labels: Sequence[str]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        place = Path(folder) / "model"
        try:
            export.export(network, list(labels), place, "check", pictures.astype(np.uint8), image)
        except Exception as error:
            yield f"It can't be exported: {_line(error)}."
            return
        yield from inspection.problems(place, list(labels), image)


def _foreign(network: keras.Model, graph: tf.Graph) -> Iterator[str]:
    """Variables that `graph` uses and that no layer of `network` holds, so that they are not saved with it."""
    own = {variable.value.ref() for variable in network.variables}
    for variable in graph.variables:
        if variable.ref() in own:
            continue
        if "seed_generator" in variable.name:
            yield (
                "It draws random numbers that no seed of a training reaches (keras.random without a seed): give it a "
                "keras.random.SeedGenerator that a layer holds."
            )
        else:
            yield f"It uses the variable {variable.name}, which none of its layers holds: make it by add_weight."


def _operations(graph: tf.Graph) -> set[str]:
    whole = graph.as_graph_def()
    return {node.op for part in (whole.node, *(f.node_def for f in whole.library.function)) for node in part}


def _asked(network: keras.Model, pictures: np.ndarray) -> np.ndarray:
    return np.asarray(network(tf.constant(pictures), training=False))


def _pictures(image: ImageInput) -> np.ndarray:
    """float32 [N, *image.shape] of whole numbers in 0..255: black, white, and noise of several strengths."""
    random = np.random.default_rng(_SEED)
    noise = [random.integers(0, 2 ** (8 - number), image.shape) for number in range(_PICTURES - 2)]
    return np.stack([np.zeros(image.shape), np.full(image.shape, 255), *noise]).astype(np.float32)


def _larger(variable: keras.Variable, weight: np.ndarray) -> np.ndarray:
    """Random weights that make the answers of any network large, but for those that a function keeps within limits."""
    if weight.dtype.kind != "f":
        return weight
    random = np.random.default_rng(weight.size)
    if weight.ndim < 2:
        found = np.abs(weight) + random.uniform(_LARGER, 2 * _LARGER, weight.shape)
        # Of both signs, so that also what sees nothing answers large; variances and such can't be negative.
        signs = np.where(np.arange(weight.size) % 2, -1, 1).reshape(weight.shape) if variable.trainable else 1
        return (found * signs).astype(weight.dtype)
    incoming = max(1, weight.size // weight.shape[-1])
    return random.normal(0, _LARGER * (2 / incoming) ** 0.5, weight.shape).astype(weight.dtype)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {sentence(error)}".rstrip(":. ")
