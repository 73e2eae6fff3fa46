"""Tiny SavedModels with our own signature, made in a second, for tests of whatever serves or stores a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contracts.about import About
    from imaging import ImageInput


def write_classifier(
    folder: Path | str,
    labels: Sequence[str],
    image_size: int = 32,
    seed: int = 0,
    image: ImageInput | None = None,
    about: About | None = None,
) -> Path:
    """Write a SavedModel `pixels` uint8 [N,H,W,channels] -> `probabilities` float32 [N,C], `labels` string [N,C].

    The probabilities depend on the pixels and on `seed` (random weights), so two versions can be told apart by
    their answers. `folder` is the version folder itself ("…/chest-xray/1"). With `image` the model tells of its input
    as training's export does, and with `about` of itself; with a size alone it is one as they were before models told
    anything. No Keras, no training; imports TensorFlow.
    """
    import numpy as np
    import tensorflow as tf

    from contracts import about as facts
    from imaging import ImageInput
    from imaging.signature import NAME, outputs

    taken = image or ImageInput(image_size)
    shape, told = taken.shape, outputs(taken)
    samples = int(np.prod(shape))
    random = np.random.default_rng(seed)
    # Sums over all samples then vary by about one whatever the size: answers follow the picture, none saturates.
    weights = random.normal(0.0, 4.0 / np.sqrt(samples), (samples, len(labels))).astype(np.float32)

    class Classifier(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(weights, name="weights")

        @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.uint8, name="pixels")])
        def classify(self, pixels):  # type: ignore[no-untyped-def]
            brightness = tf.cast(pixels, tf.float32) / 255.0
            logits = tf.reshape(brightness, [-1, samples]) @ self.weights
            names = tf.tile(tf.constant([list(labels)]), [tf.shape(pixels)[0], 1])
            return {"probabilities": tf.nn.softmax(logits), "labels": names}

        @tf.function(input_signature=[])
        def imaging(self):  # type: ignore[no-untyped-def]
            return {name: tf.constant(value) for name, value in told.items()}

        @tf.function(input_signature=[])
        def about(self):  # type: ignore[no-untyped-def]
            return {name: tf.constant(value) for name, value in facts.outputs(about).items()} if about else {}

    model = Classifier()
    signatures = {"serving_default": model.classify, **({NAME: model.imaging} if image else {})}
    if about:
        signatures[facts.NAME] = model.about
    tf.saved_model.save(model, str(folder), signatures=signatures)
    return Path(folder)
