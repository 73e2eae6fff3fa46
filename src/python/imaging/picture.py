"""A decoded picture to the channels, depth and shape that a model takes."""

from collections.abc import Sequence

from PIL import Image

from imaging.input import ImageInput

_FILTER = Image.Resampling.BILINEAR


def eight_bits(image: Image.Image, wanted: ImageInput, bands: Sequence[Image.Image] = ()) -> Image.Image:
    """The picture with the channels that are wanted, 8 bits each.

    `bands` are the colours' own samples of 16 bits, where the picture has them and Pillow kept their upper halves.
    """
    mode = "L" if wanted.channels == 1 else "RGB"
    if image.mode.startswith("I"):
        return _as(_rounded(image, wanted), mode)
    if bands:
        colours = [_rounded(band, wanted) for band in bands]
        alpha = image.convert("RGBA").getchannel("A")
        image = Image.merge("RGBA", [*(colours if len(colours) == 3 else colours * 3), alpha])
    if "A" in image.mode or "transparency" in image.info:
        colour = image.convert("RGBA")
        black = Image.new("RGBA", colour.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, colour).convert(mode)
    return _as(_as(image, "L" if image.mode in ("L", "1") else "RGB"), mode)


def _rounded(band: Image.Image, wanted: ImageInput) -> Image.Image:
    """16-bit samples as 8 bits, to the nearest; what is above white becomes white."""
    # Pillow cuts the fraction off, and a step of 255/white is far above the rounding of a float. A table would be as
    # exact, but Pillow rounds its 65536 entries for every image.
    return band.point(lambda wide: wide * (255 / wanted.white) + 0.5).convert("L")


def _as(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def whole_size(size: tuple[int, int], wanted: ImageInput) -> tuple[int, int]:
    """Width and height, in pixels, that a whole picture of `size` has before bars are added or ends cut off."""
    if wanted.oblong == "stretch":
        return wanted.size, wanted.size
    decisive = max(size) if wanted.oblong == "pad" else min(size)
    width, height = (max(1, round(side * wanted.size / decisive)) for side in size)
    return width, height


def square(picture: Image.Image, wanted: ImageInput) -> Image.Image:
    """The picture as a square of the wanted size: stretched, with black bars, or its middle."""
    size = wanted.size
    if wanted.oblong == "crop":
        width, height = picture.size
        side = min(picture.size)
        left, top = (width - side) // 2, (height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    elif wanted.oblong == "pad":
        width, height = whole_size(picture.size, wanted)
        padded = Image.new(picture.mode, (size, size))
        padded.paste(picture.resize((width, height), _FILTER), ((size - width) // 2, (size - height) // 2))
        return padded
    return picture.resize((size, size), _FILTER)
