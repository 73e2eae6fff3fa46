"""Reads the weights of a SavedModel as data: none of its graph is loaded or run."""

import re
from pathlib import Path

import keras
import numpy as np

# The exported module keeps its variables in a list named `weights`; this is how a checkpoint names the list's items.
_KEY = re.compile(r"weights/(\d+)/\.ATTRIBUTES/VARIABLE_VALUE")


def read_weights(saved_model: Path) -> list[np.ndarray]:
    """The arrays in `saved_model`/variables, in the order in which they were exported.

    Raises:
        ValueError: the folder holds no variables of an export of ours.
    """
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
        keys = {int(match[1]): key for key in reader.get_variable_to_shape_map() if (match := _KEY.fullmatch(key))}
        if not keys or sorted(keys) != list(range(len(keys))):
            raise ValueError(f"Expected variables weights/0, weights/1, …; received: {sorted(keys)}")
        return [reader.get_tensor(keys[place]) for place in sorted(keys)]
    except (tf.errors.OpError, RuntimeError) as error:
        raise ValueError(f"The variables can't be read: {error}") from error


def put_weights(model: keras.Model, weights: list[np.ndarray]) -> None:
    """Sets all weights of `model`, and its normalisation's averages.

    Raises:
        ValueError: they are not of this network, or not all of them are finite.
    """
    expected = [tuple(variable.shape) for variable in model.weights]
    received = [array.shape for array in weights]
    if expected != received:
        place = next((i for i, (e, r) in enumerate(zip(expected, received, strict=False)) if e != r), len(received))
        raise ValueError(
            f"Expected {len(expected)} weights, received {len(received)}; they differ from number {place} on."
        )
    if not all(np.isfinite(array).all() for array in weights):
        raise ValueError("Expected finite weights; received some that are not.")
    model.set_weights(weights)
