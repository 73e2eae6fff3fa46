"""Pictures that show nothing of any class, made up in the training graph; their true answer: no class is likelier.

Outlier exposure (Hendrycks, Mazeika and Dietterich, ICLR 2019): a network that is shown such pictures with even targets
stays unsure about what it never saw, where one that only saw its classes calls noise one of them with full confidence.

All randomness comes from the seed that is passed: the same seed makes the same pictures.
"""

import tensorflow as tf

# Pixels of a picture's coarsest grain; 1 is noise in every pixel. On small pictures half the side is the largest.
_GRAINS = (1, 4, 16, 64)
# Share of pictures of one brightness all over: faint noise, stretched to full contrast, is nothing like them.
_BLANK = 0.25
# Of pictures in colour, the share that is gray nevertheless.
_GRAY = 0.5
_COLOURS = 1  # folded into the seed


def outliers(count: int, shape: tuple[int, int, int], seed: tf.Tensor) -> tf.Tensor:
    """Blotches of random size, brightness, contrast and colour, float32 [count, *shape] in 0..255.

    `shape` is (side, side, channels) of the model's input, `seed` int32 [2].
    """
    side, _, channels = shape
    noise, level, contrast = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    pictures = []
    for number in range(count):
        grain = min(_GRAINS[number % len(_GRAINS)], max(1, side // 2))
        cells = -(-side // grain)
        own = tf.random.experimental.stateless_fold_in(noise, number)
        blotches = tf.random.stateless_uniform([1, cells, cells, channels], own, -1, 1)
        pictures.append(tf.image.resize(blotches, [side, side], "nearest" if number % 2 else "bilinear"))
    drawn = tf.random.stateless_uniform([count, 1, 1, 1], contrast, 0, 1)
    spread = tf.where(drawn < _BLANK, 0.0, 255 * tf.square((drawn - _BLANK) / (1 - _BLANK)))
    middle = tf.random.stateless_uniform([count, 1, 1, channels], level, 0, 255)
    found = middle + spread * tf.concat(pictures, axis=0)
    if channels > 1:
        colours = tf.random.experimental.stateless_fold_in(seed, _COLOURS)
        gray = tf.random.stateless_uniform([count, 1, 1, 1], colours, 0, 1) < _GRAY
        found = tf.where(gray, tf.reduce_mean(found, axis=-1, keepdims=True), found)
    return tf.clip_by_value(found, 0, 255)
