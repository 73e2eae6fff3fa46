"""Pictures that are no X-rays, made up in the training graph: their true answer is that no class is likelier.

Outlier exposure (Hendrycks, Mazeika and Dietterich, ICLR 2019): a network that is shown such pictures with even targets
stays unsure about what it never saw, where one that only saw X-rays calls noise a class with full confidence.

All randomness comes from the seed that is passed: the same seed makes the same pictures.
"""

import tensorflow as tf

# Pixels of a picture's coarsest grain; 1 is noise in every pixel.
_GRAINS = (1, 4, 16, 64)
# Share of pictures of one brightness all over: faint noise, stretched to full contrast, is nothing like them.
_BLANK = 0.25


def outliers(count: int, side: int, seed: tf.Tensor) -> tf.Tensor:
    """Blotches of random size, brightness and contrast, float32 [count, side, side, 1] in 0..255; `seed` int32 [2]."""
    noise, level, contrast = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    pictures = []
    for number in range(count):
        grain = _GRAINS[number % len(_GRAINS)]
        cells = -(-side // grain)
        own = tf.random.experimental.stateless_fold_in(noise, number)
        blotches = tf.random.stateless_uniform([1, cells, cells, 1], own, -1, 1)
        pictures.append(tf.image.resize(blotches, [side, side], "nearest" if number % 2 else "bilinear"))
    shape = [count, 1, 1, 1]
    drawn = tf.random.stateless_uniform(shape, contrast, 0, 1)
    spread = tf.where(drawn < _BLANK, 0.0, 255 * tf.square((drawn - _BLANK) / (1 - _BLANK)))
    middle = tf.random.stateless_uniform(shape, level, 0, 255)
    return tf.clip_by_value(middle + spread * tf.concat(pictures, axis=0), 0, 255)
