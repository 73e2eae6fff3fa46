"""Canonical pixels to a lossless PNG."""

import io

import numpy as np
from PIL import Image


def encode_png(pixels: np.ndarray) -> bytes:
    """The PNG of gray `pixels`, uint8 [H, W] or [H, W, 1]. `canonical` at the same size gives the pixels back."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError(f"Expected uint8 [H, W] or [H, W, 1]. Received: {pixels.dtype} {list(pixels.shape)}")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()
