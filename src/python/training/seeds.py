"""The random numbers of layers that draw them by themselves: Dropout, RandomFlip, recurrent layers and others."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from training.layers import layers_of


def generators_of(network: keras.Model) -> list[keras.random.SeedGenerator]:
    """The seed generators that the layers of `network` hold."""
    # Keras has no public way to them.
    return [found for layer in layers_of(network) for found in getattr(layer, "_seed_generators", ())]


@contextmanager
def untouched(network: keras.Model) -> Iterator[None]:
    """Within it, whoever calls `network` leaves its seed generators as they are.

    Several layers of Keras draw numbers when a network is asked too, and use them in training alone. Such a draw would
    be a variable that each request to a served model changes.
    """

    def fixed(generator: keras.random.SeedGenerator) -> object:
        seed = np.zeros(generator.state.shape, generator.state.dtype)
        return lambda ordered=True: keras.ops.convert_to_tensor(seed)

    found = generators_of(network)
    for generator in found:
        generator.next = fixed(generator)
    try:
        yield
    finally:
        for generator in found:
            del generator.next
