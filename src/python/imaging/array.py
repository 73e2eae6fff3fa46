"""Canonical pixels as NumPy arrays, for what trains and tests; the adapter does without NumPy."""

import io

import numpy as np
from PIL import Image

from imaging.decode import pixels
from imaging.input import ImageInput
from imaging.limits import DEFAULT, Limits


def canonical(data: bytes, wanted: ImageInput | int, limits: Limits = DEFAULT) -> np.ndarray:
    """The image in `data` as uint8 [size, size, channels], read-only; see `pixels`, whose errors it raises."""
    wanted = ImageInput.of(wanted)
    return np.frombuffer(pixels(data, wanted, limits), np.uint8).reshape(wanted.shape)


def encode_png(picture: np.ndarray) -> bytes:
    """The PNG of `picture`, uint8 [H, W] or [H, W, 1] gray, [H, W, 3] colour; `canonical` gives its pixels back."""
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    if picture.dtype != np.uint8 or not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)):
        raise ValueError(f"Expected uint8 [H, W], [H, W, 1] or [H, W, 3]. Received: {picture.dtype} {picture.shape}")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG")
    return buffer.getvalue()
