"""Pictures of something else: made from a model's own held-out images, and no good example of any of its classes.

Nobody can draw for every model what it does not know: a disc is no chest, and a good "0". So the kinds are those that
Hendrycks, Mazeika and Dietterich tune outlier exposure on (ICLR 2019, appendix): noise, and images of the dataset in
pieces that are shuffled. Beside them stand one brightness all over, and images whose phases are scrambled, which keep
all frequencies and no shape.

What a class looks like may make one of them an example all the same: a texture in shuffled pieces is that texture, an
empty slide is of one brightness. So a picture counts only where it is farther from every held-out image than nearly all
of those are from their nearest (distance to the nearest neighbour, as Sun et al., ICML 2022, tell what is out of
distribution; here of pixels, so that no model is asked about itself).
"""

from collections.abc import Callable

import numpy as np

KINDS = ("blank", "noise", "shuffled pieces", "scrambled shapes")
_EACH = 8
_PIECES = 4  # a side
_LEVELS = (0, 64, 127, 191, 255)
# A picture of something else is farther off than so many of the held-out images are from their nearest, and by a
# margin: a new example may well be as far off as the farthest of them.
_NEARER, _MARGIN = 0.99, 1.1
# Pixels a side that distances are taken of: single ones, as a mean of several would make noise smooth.
_COMPARED = 32


def pictures(held_out: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """By kind, pictures uint8 [M, size, size, channels] that are like none of `held_out`, [N, size, size, channels].

    M is 0 where whatever was made of a kind may be an example of a class. The same images make the same pictures.
    """
    random = np.random.default_rng(seed)
    few = held_out[np.linspace(0, len(held_out) - 1, min(_EACH, len(held_out))).astype(int)]
    make: dict[str, Callable[[], np.ndarray]] = {
        "blank": lambda: np.stack([np.full(held_out.shape[1:], level, np.uint8) for level in _LEVELS]),
        "noise": lambda: random.integers(0, 256, (_EACH, *held_out.shape[1:]), np.uint8),
        "shuffled pieces": lambda: np.stack([_shuffled(image, random) for image in few]),
        "scrambled shapes": lambda: np.stack([_scrambled(image, random) for image in few]),
    }
    far = _threshold(held_out)
    made = {kind: make[kind]() for kind in KINDS}
    return {kind: found[_distances(found, held_out).min(axis=1) > far] for kind, found in made.items()}


def _threshold(held_out: np.ndarray) -> float:
    """How far off an example of a class may be. Infinite where there is but one image."""
    if len(held_out) < 2:
        return float("inf")
    apart = _distances(held_out, held_out)
    np.fill_diagonal(apart, np.inf)
    return _MARGIN * float(np.quantile(apart.min(axis=1), _NEARER))


def _distances(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Root mean squares of the pixels' differences, float [len(own), len(others)]."""
    step = max(1, own.shape[1] // _COMPARED)
    a, b = (images[:, ::step, ::step].reshape(len(images), -1).astype(np.float32) for images in (own, others))
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0) / a.shape[1])


def _shuffled(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`image` in square pieces, each in another's place; what is left over at two edges stays."""
    side = max(1, image.shape[0] // _PIECES)
    places = [(row * side, column * side) for row in range(_PIECES) for column in range(_PIECES)]
    shuffled = image.copy()
    for (row, column), other in zip(places, random.permutation(len(places)), strict=True):
        from_row, from_column = places[other]
        piece = image[from_row : from_row + side, from_column : from_column + side]
        shuffled[row : row + side, column : column + side] = piece
    return shuffled


def _scrambled(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`image` with its frequencies' strengths and with the phases of noise, the same ones for all of its colours."""
    phases = np.angle(np.fft.fft2(random.random(image.shape[:2])))
    spectra = np.abs(np.fft.fft2(image.astype(float), axes=(0, 1))) * np.exp(1j * phases)[:, :, None]
    return np.clip(np.real(np.fft.ifft2(spectra, axes=(0, 1))), 0, 255).astype(np.uint8)
