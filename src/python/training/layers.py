"""The layers of a network, however deep."""

import keras


def layers_of(network: keras.Model) -> list[keras.Layer]:
    """Every layer of `network`, those inside of layers and of nested models too."""
    # Keras has no public way to the layers that a layer of one's own holds.
    return list(network._flatten_layers(include_self=False, recursive=True))
