"""Tiny SavedModels with our own signature, made in a second, for tests of whatever serves or stores a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write_classifier(folder: Path | str, labels: Sequence[str], image_size: int = 32, seed: int = 0) -> Path:
    """Write a SavedModel `pixels` uint8 [N,H,W,1] -> `probabilities` float32 [N,C], `labels` string [N,C].

    The probabilities depend on the pixels and on `seed` (random weights), so two versions can be told apart by
    their answers. `folder` is the version folder itself ("…/chest-xray/1"). No Keras, no training; imports TensorFlow.
    """
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(seed)
    side = image_size
    # Sums over side x side pixels then vary by about one whatever the size: answers follow the picture, none saturates.
    weights = random.normal(0.0, 4.0 / side, (side * side, len(labels))).astype(np.float32)

    class Classifier(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(weights, name="weights")

        @tf.function(input_signature=[tf.TensorSpec([None, side, side, 1], tf.uint8, name="pixels")])
        def classify(self, pixels):  # type: ignore[no-untyped-def]
            brightness = tf.cast(pixels, tf.float32) / 255.0
            logits = tf.reshape(brightness, [-1, side * side]) @ self.weights
            names = tf.tile(tf.constant([list(labels)]), [tf.shape(pixels)[0], 1])
            return {"probabilities": tf.nn.softmax(logits), "labels": names}

    model = Classifier()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.classify})
    return Path(folder)
