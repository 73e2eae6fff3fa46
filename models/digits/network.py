"""The network of digits: three convolutions, for pictures that have 8 x 8 pixels of their own."""

import keras
from keras import layers


def build(parameters, image, classes):
    """Pixels float32 [N, height, width, channels] in 0..255 -> logits float32 [N, classes], without a softmax."""
    return keras.Sequential(
        [
            keras.Input(image.shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 5, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(classes),
        ]
    )
