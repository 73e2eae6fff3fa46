"""Small images for tests, and small limits to hold them against."""

import dataclasses
import io

import numpy as np
from PIL import Image

import imaging


def gray(value: int, size: int = 8, kind: str = "PNG") -> bytes:
    """A picture of one gray, 0 to 255."""
    file = io.BytesIO()
    Image.fromarray(np.full((size, size), value, np.uint8)).save(file, kind)
    return file.getvalue()


def imaging_limits(**limits: int) -> imaging.Limits:
    return dataclasses.replace(imaging.DEFAULT, **limits)
