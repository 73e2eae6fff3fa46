"""Layers that are fitted to all training images before the first epoch, and do not learn step by step."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from contracts.changes import Changes
from training.layers import layers_of


@dataclass(frozen=True)
class Material:
    """What such a layer is fitted to."""

    pixels: np.ndarray  # uint8 [N, H, W, C]
    labels: np.ndarray  # int32 [N], places among the classes
    class_weights: np.ndarray  # float32 [classes]
    changes: Changes  # that keep the class
    seed: int


class FittedAtOnce:
    """Beside keras.layers.Layer a base of such a layer."""

    def fit_to(self, network: keras.Model, material: Material, go_on: Callable[[], None]) -> None:
        """Sets the weights; `network` holds the layer. `go_on` is called now and then, to end it by an error."""
        raise NotImplementedError


def fit_layers(network: keras.Model, material: Material, go_on: Callable[[], None] = lambda: None) -> None:
    """Fits the layers of `network` that are fitted at once, if there are any."""
    for layer in layers_of(network):
        if isinstance(layer, FittedAtOnce):
            layer.fit_to(network, material, go_on)
