"""The layer that turns features into logits, marked so that the training step can drop features out."""

import keras


class Head(keras.layers.Dense):
    """A dense layer from features [N, F] to logits [N, C], used as the last layer that learns step by step.

    The training step draws the dropout of its features, for the batch as a whole: a Dropout layer of the network would
    draw for each replica, and the result would depend on how many share a batch. What comes after it in the network
    takes part in answers, and not in training.
    """


def head_of(network: keras.Model) -> Head | None:
    """The head of `network`; None where the network does without, as most people's own do."""
    return next((layer for layer in network.layers if isinstance(layer, Head)), None)
