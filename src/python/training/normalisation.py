"""Batch normalisation, of any network: its statistics are those of plain training images, taken once an epoch.

Moving averages would follow the augmented images of training, and lean to one class on plain ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.layers import layers_of
from training.seeds import untouched

BATCHNORM_IMAGES = 256


def prepare(network: keras.Model) -> None:
    """Makes one training pass replace the statistics, and several replicas share those of the whole batch."""
    shared = tf.distribute.get_strategy().num_replicas_in_sync > 1
    for layer in _normalisations(network):
        layer.momentum, layer.synchronized = 0.0, shared


def statistics_from(
    network: keras.Model, pixels: np.ndarray, seed: int, strategy: tf.distribute.Strategy
) -> Callable[[], None]:
    """A function that sets the statistics to those of one large batch of `pixels`, uint8 [N, H, W, C].

    All other layers answer as they do when the model is served: dropout and noise would be in the statistics.
    """
    chosen = np.random.default_rng(seed).permutation(len(pixels))[:BATCHNORM_IMAGES]
    plain = tf.constant(pixels[chosen])

    @tf.function
    def take() -> None:
        # Around all replicas, which take turns at each layer.
        with _in_training(_normalisations(network)), untouched(network):
            strategy.run(lambda images: network(tf.cast(images, tf.float32), training=False), args=(plain,))

    return take


def _normalisations(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in layers_of(network) if isinstance(layer, keras.layers.BatchNormalization)]


@contextmanager
def _in_training(layers: list[keras.layers.BatchNormalization]) -> Iterator[None]:
    """Within it, `layers` normalise by the batch, whatever the network around them is told."""

    def always(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda inputs, training=None, mask=None: call(inputs, training=True, mask=mask)

    for layer in layers:
        layer.call = always(layer.call)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call
