"""Which parts of a picture an answer rests on: each is covered in turn, and the answer asked for again."""

from collections.abc import Sequence

CELLS = 8  # a side; a picture of fewer pixels has as many as it has pixels
# How many cells' widths are covered at once: neighbours overlap, so what lies between two of them is covered whole too.
_WIDTHS = 2


def cells(size: int) -> int:
    """Cells a side of a picture of `size` pixels a side."""
    return min(CELLS, size)


def cost(size: int = CELLS) -> int:
    """Images that an explanation asks for: the picture, and the picture with each of its parts covered."""
    return 1 + cells(size) ** 2


def covered(pixels: bytes, size: int, channels: int, cell: int) -> bytes:
    """`pixels` with the square around cell number `cell`, row by row, in the picture's average shade."""
    average = bytes(round(sum(pixels[channel::channels]) / size**2) for channel in range(channels))
    row, column = divmod(cell, cells(size))
    top, bottom = _reach(row, size)
    left, right = _reach(column, size)
    changed = bytearray(pixels)
    for line in range(top, bottom):
        start = (line * size + left) * channels
        changed[start : start + (right - left) * channels] = average * (right - left)
    return bytes(changed)


def falls(size: int, whole: float, parts: Sequence[float]) -> list[list[float]]:
    """By how much the probability falls, by row and column of cells; below zero where covering raises it."""
    across = cells(size)
    return [[whole - parts[row * across + column] for column in range(across)] for row in range(across)]


def _reach(place: int, size: int) -> tuple[int, int]:
    """First pixel and end of what is covered around the cell at `place`, along one side."""
    width = size / cells(size)
    middle = (place + 0.5) * width
    return max(0, round(middle - _WIDTHS * width / 2)), min(size, round(middle + _WIDTHS * width / 2))
