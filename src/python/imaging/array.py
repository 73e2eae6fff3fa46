"""Canonical pixels as NumPy arrays, for what trains and tests; the adapter does without NumPy."""

import io

import numpy as np
from PIL import Image

from imaging.decode import pixels
from imaging.limits import DEFAULT, Limits


def canonical(data: bytes, size: int, limits: Limits = DEFAULT) -> np.ndarray:
    """The image in `data` as gray pixels, uint8 [size, size, 1], read-only; see `pixels`, whose errors it raises."""
    return np.frombuffer(pixels(data, size, limits), np.uint8).reshape(size, size, 1)


def encode_png(picture: np.ndarray) -> bytes:
    """The PNG of gray `picture`, uint8 [H, W] or [H, W, 1]. `canonical` at the same size gives the pixels back."""
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    if picture.ndim != 2 or picture.dtype != np.uint8:
        raise ValueError(f"Expected uint8 [H, W] or [H, W, 1]. Received: {picture.dtype} {list(picture.shape)}")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG")
    return buffer.getvalue()
