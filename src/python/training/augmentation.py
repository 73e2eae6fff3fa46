"""Random changes to training images that leave them in their class, as operations of the training graph.

All randomness comes from the seed that is passed: the same seed makes the same changes.
"""

import math

import tensorflow as tf

from contracts.changes import Changes

# What goes along with a change at the strength that suits an X-ray, in natural logarithms: width against height with
# the zoom, gamma and gain with the brightness.
_ASPECT, _GAMMA, _GAIN = 0.08, 0.35, 0.2
_XRAY = Changes()


def augment(
    pixels: tf.Tensor,
    seed: tf.Tensor,
    strength: float,
    changes: Changes = _XRAY,
    whole: int | None = None,
    first: int | tf.Tensor = 0,
) -> tf.Tensor:
    """Turned, moved, stretched, mirrored and re-exposed pixels, float32 [N, H, W, C] in 0..255.

    `pixels` are [N, H, W, C] in 0..255 of a square image, `seed` int32 [2]. `changes` are what may be done at strength
    1; strength 0 only mirrors, if that may be done. Pixels that are images number `first` and following of a batch of
    `whole` are changed as they would be within that batch.
    """
    pixels = tf.cast(pixels, tf.float32)
    count, side = tf.shape(pixels)[0], tf.cast(tf.shape(pixels)[1], tf.float32)
    seeds = iter(tf.unstack(tf.random.experimental.stateless_split(seed, 8)))
    drawn = count if whole is None else whole

    def draw(limit: float) -> tf.Tensor:
        return tf.random.stateless_uniform([drawn], next(seeds), -limit, limit)[first : first + count]

    def spread(limit: float) -> tf.Tensor:
        """One number per image in -limit..limit."""
        return strength * draw(limit)

    angle = spread(changes.turn * math.pi / 180)
    height = tf.exp(spread(changes.zoom))
    width = height * tf.exp(spread(_ASPECT * (changes.zoom / _XRAY.zoom)))
    side_chosen = tf.sign(draw(1))
    if changes.mirror:
        width *= side_chosen
    moved = _transformed(pixels, angle, width, height, spread(changes.shift) * side, spread(changes.shift) * side)
    gamma, gain = tf.exp(spread(_GAMMA * changes.brightness)), tf.exp(spread(_GAIN * changes.brightness))
    exposed = tf.pow(moved / 255, gamma[:, None, None, None]) * gain[:, None, None, None]
    return 255 * tf.clip_by_value(exposed, 0, 1)


def _transformed(
    pixels: tf.Tensor, angle: tf.Tensor, width: tf.Tensor, height: tf.Tensor, right: tf.Tensor, down: tf.Tensor
) -> tf.Tensor:
    """Turned about the middle by `angle`, scaled by `width` and `height`, moved; each float32 [N]. Gaps are black."""
    middle = (tf.cast(tf.shape(pixels)[1], tf.float32) - 1) / 2
    a, b = tf.cos(angle) * width, -tf.sin(angle) * height
    c, d = tf.sin(angle) * width, tf.cos(angle) * height
    zero = tf.zeros_like(a)
    # Rows of the matrix that takes a place in the result to its place in the source.
    rows = [a, b, middle * (1 - a - b) + right, c, d, middle * (1 - c - d) + down, zero, zero]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels,
        transforms=tf.stack(rows, axis=1),
        output_shape=tf.shape(pixels)[1:3],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
