"""scikit-learn's handwritten digits as a dataset: real pictures that need no download."""

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES = 1797
_DARKEST = 16  # the collection's gray levels are 0 to 16


def write_digits(directory: Path, images: int = IMAGES) -> None:
    """Writes the collection's first `images` as `<directory>/<digit>/<digit>-<n>.png`, gray 8-bit PNGs of 8x8 pixels.

    Ink is bright. More images keep those of fewer, under the same names.
    """
    from sklearn.datasets import load_digits  # takes a second, which other datasets should not cost

    collection = load_digits()
    numbers: Counter[str] = Counter()
    for picture, digit in zip(collection.images[:images], collection.target[:images], strict=True):
        label = str(digit)
        numbers[label] += 1
        (directory / label).mkdir(parents=True, exist_ok=True)
        gray = np.rint(picture * (255 / _DARKEST)).astype(np.uint8)
        Image.fromarray(gray).save(directory / label / f"{label}-{numbers[label]}.png")
