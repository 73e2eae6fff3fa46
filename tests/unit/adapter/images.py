"""Small images for tests."""

import io

import numpy as np
from PIL import Image


def gray(value: int, size: int = 8, kind: str = "PNG") -> bytes:
    """A picture of one gray, 0 to 255."""
    file = io.BytesIO()
    Image.fromarray(np.full((size, size), value, np.uint8)).save(file, kind)
    return file.getvalue()
