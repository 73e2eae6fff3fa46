"""Why an image is refused.

ImageError (a ValueError)
├── NotAnImage         the bytes are no image at all
├── UnsupportedFormat  an image, but not a PNG or JPEG of one frame
├── ImageTooLarge      over a limit on bytes, pixels, side or scans
└── CorruptImage       a PNG or JPEG that is cut off or damaged

str() of each is one sentence that may be shown to whoever sent the image.
"""


class ImageError(ValueError):
    """The bytes can't be turned into pixels."""


class NotAnImage(ImageError):
    pass


class UnsupportedFormat(ImageError):
    pass


class ImageTooLarge(ImageError):
    pass


class CorruptImage(ImageError):
    pass
