"""PNGs with 16 bits a sample: the samples themselves, which Pillow keeps for gray ones alone."""

import io

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

_DEPTH, _COLOUR_TYPE = 24, 25  # places of these bytes in a PNG
_GRAY, _COLOUR, _GRAY_ALPHA, _COLOUR_ALPHA = 0, 2, 4, 6


def is_wide(data: bytes) -> bool:
    """Whether the PNG has 16 bits a sample."""
    return data[_DEPTH : _DEPTH + 1] == b"\x10"


def bands(data: bytes) -> list[Image.Image]:
    """Gray, or red, green and blue, of a PNG with 16 bits a sample; each of mode "I;16". Without its alpha."""
    kind = data[_COLOUR_TYPE]
    if kind == _GRAY:
        image = PngImageFile(io.BytesIO(data))
        image.load()
        return [image]
    if kind == _GRAY_ALPHA:
        high, low, *_ = _decoded(data, "RGBA").split()
        return [_joined(high, low)]
    mode = "RGB" if kind == _COLOUR else "RGBA"
    # The upper bytes, and, read as if the other byte came first, the lower ones.
    upper, lower = _decoded(data, f"{mode};16B").split(), _decoded(data, f"{mode};16L").split()
    return [_joined(high, low) for high, low in zip(upper[:3], lower[:3], strict=True)]


def _decoded(data: bytes, layout: str) -> Image.Image:
    """The picture, its bytes laid out as Pillow's raw mode `layout` says."""
    image = PngImageFile(io.BytesIO(data))
    image.tile = [tile._replace(args=layout) for tile in image.tile]
    image.load()
    return image


def _joined(high: Image.Image, low: Image.Image) -> Image.Image:
    pairs = Image.merge("LA", (high, low)).tobytes()
    return Image.frombytes("I;16", high.size, pairs, "raw", "I;16B")
