"""A plain re-creation of how such a classifier is classically trained, to measure against.

A Python loop decodes all images to RGB, one float array holds everything, one wide convolution leads into Flatten and
Dense, and where that is not good enough another layer is added and all is trained again.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 128  # pixels
FILTERS = 64
EPOCHS = 5  # before a layer is added
MOST_LAYERS = 5


def in_one_array(files: Sequence[Path]) -> tuple[np.ndarray, int]:
    """float32 [N, 128, 128, 3] in 0..1, and N."""
    pictures = []
    for file in files:
        with Image.open(file) as image:
            pictures.append(np.array(image.convert("RGB").resize((SIDE, SIDE))))
    return np.array(pictures, np.float32) / 255, len(pictures)


def train(
    train: Sequence[tuple[Path, str]],
    test: Sequence[tuple[Path, str]],
    labels: Sequence[str],
    wanted: float,
    limit: float,
) -> dict[str, Any]:
    """Trains until `wanted` accuracy on `test`, five layers, or `limit` CPU seconds; tells what came of it."""
    import keras

    started = time.process_time()
    keras.utils.set_random_seed(0)
    pixels, _ = in_one_array([path for path, _ in train])
    truth = np.array([labels.index(label) for _, label in train])
    held, _ = in_one_array([path for path, _ in test])
    held_truth = np.array([labels.index(label) for _, label in test])
    best, epochs = 0.0, 0
    for convolutions in range(1, MOST_LAYERS + 1):
        layers = [keras.layers.Conv2D(FILTERS, 3, activation="relu") for _ in range(convolutions)]
        model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers, keras.layers.Flatten()])
        model.add(keras.layers.Dense(len(labels), activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy")
        for _ in range(EPOCHS):
            model.fit(pixels, truth, verbose=0)
            epochs += 1
            right = model.predict(held, verbose=0).argmax(axis=1) == held_truth
            best = max(best, float(right.mean()))
            seconds = time.process_time() - started
            if best >= wanted or (limit and seconds >= limit):
                return {"seconds": seconds, "accuracy": best, "epochs": epochs, "layers": convolutions}
    return {"seconds": time.process_time() - started, "accuracy": best, "epochs": epochs, "layers": MOST_LAYERS}
