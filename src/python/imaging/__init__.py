"""Image bytes to canonical pixels: the only code in Trainyard that decodes an image.

The adapter calls `pixels`; training and model tests call `imaging.array.canonical`, a view of the same bytes. So a
model is served the very pixels it was trained on, and the adapter needs no NumPy.
"""

from imaging.errors import CorruptImage, ImageError, ImageTooLarge, NotAnImage, UnsupportedFormat
from imaging.input import OBLONG, ImageInput
from imaging.limits import DEFAULT, Limits

__all__ = [
    "DEFAULT",
    "OBLONG",
    "CorruptImage",
    "ImageError",
    "ImageInput",
    "ImageTooLarge",
    "Limits",
    "NotAnImage",
    "UnsupportedFormat",
    "area",
    "filled",
    "pixels",
]


def pixels(data: bytes, wanted: ImageInput | int, limits: Limits = DEFAULT) -> bytes:
    """The image in `data` as the pixels that a model takes; `imaging.decode.pixels` says more."""
    # Imported here: commands that only need to know what a model wants start without Pillow.
    from imaging import decode

    return decode.pixels(data, wanted, limits)


def filled(data: bytes, wanted: ImageInput | int, limits: Limits = DEFAULT) -> float:
    """The share of the square that the picture in `data` fills: under 1 where it has black bars."""
    from imaging import decode

    return decode.filled(data, wanted, limits)


def area(data: bytes, limits: Limits = DEFAULT) -> int:
    """The pixels that the header of a PNG or JPEG claims, without decoding any; 0 for what is neither."""
    from imaging import head, kinds

    try:
        return head.area(data, kinds.accepted(data), limits.max_parts)
    except ImageError:
        return 0
