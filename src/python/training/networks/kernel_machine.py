"""A second classifier beside the network: kernel regression on where in an image which edges run.

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

from training.at_once import FittedAtOnce, Material

_NAME = "kernel_machine"
_GRID = 8  # cells along each side
_FRAME = 32  # one part in so many of the side, at each end
_DIRECTIONS = 8
# Of a cell's gradients, in standard deviations of the image a pixel: fainter ones are noise and count for less.
_FAINT = 0.03
_STEADY = 0.05
_RIDGE = 0.1
_SUREST = 0.965  # probability of a class that the regression has no doubt of
# Of one classifier's evidence, what is news to the other: with this the two together are as sure as they are right.
_INDEPENDENCE = 0.75
_AT_ONCE = 64  # images
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue
_LEAST_LUMA = 0.01  # deviation of the luma, where that of all channels is 1


class KernelMachine(layers.Layer, FittedAtOnce):
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

    def fit_to(self, network: keras.Model, material: Material, go_on: Callable[[], None]) -> None:
        """Ridge regression with a Gaussian kernel on some of the images, the landmarks: the Nystroem approximation
        (Williams and Seeger, NIPS 2000), which is exact as long as all of them are landmarks.

        Mirror images take part where they are of the same class.
        """
        pixels, labels = material.pixels, material.labels
        turns = 2 if material.changes.mirror else 1
        features = _features(keras.Model(network.input, self.input), pixels, turns, go_on)
        # What hardly differs between these images may, in others, not count for more than anything else.
        scale = 1 / (np.maximum(features.std(axis=0), _STEADY) * math.sqrt(features.shape[1]))
        features *= scale
        chosen = np.random.default_rng(material.seed).permutation(len(pixels))[: self.count // turns]
        places = np.concatenate([chosen + turn * len(pixels) for turn in range(turns)])
        middle = features[places].mean(axis=0)
        features -= middle
        marks = features[places]
        shares = _regression(features, marks, np.tile(labels, turns), material.class_weights)
        # Landmarks that there are no images for have no share in any class.
        spare = (0, self.count - len(marks))
        landmarks = np.pad(marks.T, ((0, 0), spare))
        self.set_weights([scale, middle, landmarks, np.sum(landmarks**2, axis=0), np.pad(shares, (spare, (0, 0)))])


def _features(look: keras.Model, pixels: np.ndarray, turns: int, go_on: Callable[[], None]) -> np.ndarray:
    """What `look` finds in uint8 [N, S, S, C] and, with two `turns`, in their mirror images: float32 [turns * N, F]."""
    ask = tf.function(lambda images: look(images), reduce_retracing=True)
    features = np.empty((turns * len(pixels), look.output_shape[-1]), np.float32)
    for start in range(0, len(pixels), _AT_ONCE):
        go_on()
        images = pixels[start : start + _AT_ONCE].astype(np.float32)
        for turn in range(turns):
            first = turn * len(pixels) + start
            features[first : first + len(images)] = ask(images[:, :, ::-1] if turn else images)
    return features


def joined(logits: KerasTensor, whole: KerasTensor, landmarks: int) -> KerasTensor:
    """Logits [N, C] of two classifiers together: the network, by its `logits`, and a kernel machine on the same images.

    `whole` are the images as `standardised` gives them; of colours the machine looks at their luma. The logits are
    summed, which is the logarithmic pool of the probabilities: where one has no opinion, the other decides.
    """
    machine = KernelMachine(landmarks, logits.shape[-1])
    if whole.shape[-1] > 1:
        luma = ops.sum(whole * np.array(_LUMA, np.float32), axis=-1, keepdims=True)
        whole = standardised(luma, least=_LEAST_LUMA)
    scores = machine(oriented_gradients(whole))
    return _INDEPENDENCE * (logits + machine.sharpness * scores)


def standardised(pixels: KerasTensor, least: float = 1.0) -> KerasTensor:
    """Images [N, S, S, C], each with mean 0 and deviation 1: exposure differs between cameras, and tells no class.

    `least` is added to the deviation, by default one gray level: an empty image stays finite.
    """
    mean = ops.mean(pixels, axis=(1, 2, 3), keepdims=True)
    deviation = ops.std(pixels, axis=(1, 2, 3), keepdims=True)
    return (pixels - mean) / (deviation + least)


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
