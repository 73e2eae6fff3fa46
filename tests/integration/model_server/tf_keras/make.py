"""Makes the SavedModel beside this script as `tf.keras` saved models before Keras 3, which no package of ours can.

In an environment with tensorflow and tf-keras: `python make.py`. Imports neither of ours.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

FOLDER = Path(__file__).parent / "saved"


def main() -> None:
    """A word's index, looked up in a vocabulary, times a weight, plus another input."""
    word = tf_keras.Input((1,), name="word", dtype=tf.string)
    more = tf_keras.Input((1,), name="more")
    index = tf_keras.layers.StringLookup(vocabulary=["cat", "dog"], name="index")(word)
    weight = tf_keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="weight")
    total = tf_keras.layers.Add(name="total")([weight(tf_keras.backend.cast(index, "float32")), more])
    model = tf_keras.Model([word, more], total)
    model.get_layer("weight").set_weights([np.array([[10.0]], np.float32)])
    shutil.rmtree(FOLDER, ignore_errors=True)
    model.save(FOLDER, save_format="tf", include_optimizer=False)


if __name__ == "__main__":
    main()
