"""A second judge beside the network: kernel regression on where in an image which edges run.

A network that averages over the image in the end forgets where it saw what, and learns slowly; this one does neither.
It gets other images wrong than the network does, so that the two together are right more often than either
(docs/decisions/0014).
"""

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor, layers, ops

_NAME = "kernel_machine"
_GRID = 8  # cells along each side
_FRAME = 32  # one part in so many of the side, at each end
_DIRECTIONS = 8
# Of a cell's gradients, in standard deviations of the image a pixel: fainter ones are noise and count for less.
_FAINT = 0.03
_STEADY = 0.05
_RIDGE = 0.1
_SUREST = 0.965  # probability of a class that the regression has no doubt of
# Of one judge's evidence, what is news to the other: with this the two together are as sure as they are right.
_INDEPENDENCE = 0.75
_AT_ONCE = 64  # images


class KernelMachine(layers.Layer):
    """Features float32 [N, F] -> scores float32 [N, C]: 0 for images that are like none of the landmarks."""

    def __init__(self, landmarks: int, classes: int) -> None:
        super().__init__(name=_NAME, trainable=False)
        self.count, self.classes = landmarks, classes
        # Scores of one class are about 1 above the others' where there is no doubt.
        self.sharpness = math.log(_SUREST / (1 - _SUREST) * max(1, classes - 1))

    def build(self, shape: tuple[int, ...]) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="zeros", name="scale")
        # Taken from the middle of the landmarks: between large numbers, the last bits of a distance would be chance.
        self.middle = self.add_weight(shape=(shape[-1],), initializer="zeros", name="middle")
        # Columns, with their squared lengths: as the product wants them, at every request.
        self.landmarks = self.add_weight(shape=(shape[-1], self.count), initializer="zeros", name="landmarks")
        self.lengths = self.add_weight(shape=(self.count,), initializer="zeros", name="lengths")
        self.shares = self.add_weight(shape=(self.count, self.classes), initializer="zeros", name="shares")

    def call(self, features: KerasTensor) -> KerasTensor:
        x = features * self.scale - self.middle
        gaps = ops.sum(x * x, axis=-1, keepdims=True) + self.lengths - 2 * ops.matmul(x, self.landmarks)
        return ops.matmul(ops.exp(-ops.maximum(gaps, 0.0)), self.shares)


def joined(logits: KerasTensor, standardised: KerasTensor, landmarks: int) -> KerasTensor:
    """Logits [N, C] of two judges together: the network, by its `logits`, and a kernel machine on the same images.

    Both are added up: the logarithmic pool of their probabilities. Where one has no opinion, the other decides.
    """
    machine = KernelMachine(landmarks, logits.shape[-1])
    scores = machine(oriented_gradients(standardised))
    return _INDEPENDENCE * (logits + machine.sharpness * scores)


def oriented_gradients(x: KerasTensor) -> KerasTensor:
    """Images [N, S, S, 1] of mean 0 and deviation 1 -> how strong edges of each direction are in each cell, [N, F].

    After Dalal and Triggs, Histograms of oriented gradients for human detection (CVPR 2005).
    """
    across = np.array([[0, 0, 0], [-0.5, 0, 0.5], [0, 0, 0]])
    turns = [turn * 2 * math.pi / _DIRECTIONS for turn in range(_DIRECTIONS)]
    filters = np.stack([math.cos(turn) * across + math.sin(turn) * across.T for turn in turns], axis=-1)
    edges = ops.relu(ops.conv(x, filters[:, :, None, :].astype(np.float32), padding="valid"))
    # Without a frame, where a picture that was moved or turned a little shows nothing but the edge of what it lacks.
    inside = x.shape[1] - 2 * max(1, x.shape[1] // _FRAME)
    grid, cell = min(_GRID, inside), max(1, inside // _GRID)
    first = (edges.shape[1] - grid * cell) // 2
    inner = slice(first, first + grid * cell)
    cells = ops.average_pool(edges[:, inner, inner], cell, cell)
    strength = ops.sqrt(ops.sum(ops.square(cells), axis=-1, keepdims=True) + _FAINT)
    return layers.Flatten()(cells / strength)


def fit(
    network: keras.Model,
    pixels: np.ndarray,
    labels: np.ndarray,
    class_weights: np.ndarray,
    seed: int,
    go_on: Callable[[], None] = lambda: None,
) -> None:
    """Fits the kernel machine of `network`, if it has one, to uint8 [N, S, S, 1] and their mirror images.

    `go_on` is called now and then, to end it by an error.

    Ridge regression with a Gaussian kernel on some of the images, the landmarks: the Nystroem approximation (Williams
    and Seeger, NIPS 2000), which is exact as long as all of them are landmarks.
    """
    machine = next((layer for layer in network.layers if layer.name == _NAME), None)
    if machine is None:
        return
    model = keras.Model(network.input, machine.input)
    ask = tf.function(lambda images: model(images), reduce_retracing=True)
    features = np.empty((2 * len(pixels), machine.input.shape[-1]), np.float32)
    for start in range(0, len(pixels), _AT_ONCE):
        go_on()
        plain = pixels[start : start + _AT_ONCE].astype(np.float32)
        for first, images in (start, plain), (len(pixels) + start, plain[:, :, ::-1]):
            features[first : first + len(images)] = ask(images)
    # What hardly differs between these images may, in others, not count for more than anything else.
    scale = 1 / (np.maximum(features.std(axis=0), _STEADY) * math.sqrt(features.shape[1]))
    features *= scale
    chosen = np.random.default_rng(seed).permutation(len(pixels))[: machine.count // 2]
    both = np.concatenate([chosen, chosen + len(pixels)])
    middle = features[both].mean(axis=0)
    features -= middle
    marks = features[both]
    shares = _regression(features, marks, np.tile(labels, 2), class_weights)
    # Landmarks that there are no images for have no share in any class.
    spare = (0, machine.count - len(marks))
    landmarks = np.pad(marks.T, ((0, 0), spare))
    machine.set_weights([scale, middle, landmarks, np.sum(landmarks**2, axis=0), np.pad(shares, (spare, (0, 0)))])


def _regression(features: np.ndarray, marks: np.ndarray, labels: np.ndarray, class_weights: np.ndarray) -> np.ndarray:
    """How much each of `marks` speaks for each class, float64 [M, C]."""
    classes = len(class_weights)
    targets = np.eye(classes)[labels] - 1 / classes
    left, right = _RIDGE * _alike(marks, marks), np.zeros((len(marks), classes))
    for start in range(0, len(features), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        alike = _alike(features[part], marks)
        weighted = alike.T * class_weights[labels[part]]
        left += weighted @ alike
        right += weighted @ targets[part]
    # Images that are there twice would make it singular.
    left[np.diag_indices_from(left)] += 1e-6 * len(features)
    return np.linalg.solve(left, right)


def _alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = one.astype(np.float64), other.astype(np.float64)
    gaps = np.sum(one**2, axis=1)[:, None] + np.sum(other**2, axis=1) - 2 * one @ other.T
    return np.exp(-np.maximum(gaps, 0))
