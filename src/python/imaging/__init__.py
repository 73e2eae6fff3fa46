"""Image bytes to canonical pixels: the only code in Trainyard that decodes an image.

Training, model tests and the adapter all call `canonical`, so a model is served the very pixels it was trained on.
"""

from imaging.decode import canonical
from imaging.encode import encode_png
from imaging.errors import CorruptImage, ImageError, ImageTooLarge, NotAnImage, UnsupportedFormat
from imaging.limits import DEFAULT, Limits

__all__ = [
    "DEFAULT",
    "CorruptImage",
    "ImageError",
    "ImageTooLarge",
    "Limits",
    "NotAnImage",
    "UnsupportedFormat",
    "canonical",
    "encode_png",
]
