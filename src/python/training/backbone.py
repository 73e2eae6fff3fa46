"""Networks of keras.applications under our input and our head.

Only those that normalise their own input (0 to 255, three channels) are taken, so that the exported model keeps the one
contract: gray pixels in, probabilities out.
"""

import hashlib
import inspect
from dataclasses import dataclass

import keras
import numpy as np
from keras import KerasTensor, layers, ops

NONE, IMAGENET = "none", "imagenet"
_NAME = "backbone"


class NoWeights(RuntimeError):
    """The weights of a backbone can't be downloaded, or the file that holds them can't be used."""


def names() -> list[str]:
    """What `--backbone` takes."""
    found = inspect.getmembers(keras.applications, inspect.isfunction)
    # The first EfficientNets always normalise, and so have no argument that says so.
    return sorted(
        name
        for name, make in found
        if "include_preprocessing" in inspect.signature(make).parameters or name.startswith("EfficientNetB")
    )


def features(pixels: KerasTensor, name: str, synchronized: bool) -> KerasTensor:
    """Pixels float32 [N, H, W, 1] in 0..255 -> features float32 [N, F] of the backbone `name`, with random weights."""
    body = _body(name, pixels.shape[1], None)
    for layer in body.layers:
        if isinstance(layer, layers.BatchNormalization):
            # As in model.py: statistics of plain images, which the loop takes, and of the whole batch.
            layer.momentum, layer.synchronized = 0.0, synchronized
    return body(ops.repeat(pixels, 3, axis=-1))


@dataclass(frozen=True)
class Backbone:
    """The weights that a backbone begins with; none are random."""

    weights: list[np.ndarray]
    digest: str

    @classmethod
    def load(cls, name: str, weights: str, side: int) -> "Backbone":
        """`weights` are "none", "imagenet" (downloaded), or an .h5 file of such, without the top.

        Raises:
            NoWeights: they can't be had.
        """
        if weights == NONE:
            return cls([], NONE)
        try:
            body = _body(name, side, weights if weights == IMAGENET else None)
            if weights != IMAGENET:
                body.load_weights(weights)
        except Exception as error:  # Keras raises plain Exceptions for downloads, and HDF5 what it likes.
            raise NoWeights(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
        arrays = body.get_weights()
        return cls(arrays, hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())

    def put_into(self, network: keras.Model) -> None:
        if self.weights:
            network.get_layer(_NAME).set_weights(self.weights)


def _body(name: str, side: int, weights: str | None) -> keras.Model:
    make = getattr(keras.applications, name)
    return make(include_top=False, weights=weights, input_shape=(side, side, 3), pooling="avg", name=_NAME)
