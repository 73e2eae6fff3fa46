"""What a model wants to see: all that decoding needs to know of it."""

from dataclasses import dataclass
from typing import Protocol

# How an oblong picture becomes square: squeezed, with black bars around it, or without its ends.
OBLONG = ("stretch", "pad", "crop")
_MOST_SAMPLE = 65535  # 16 bits


class Recorded(Protocol):
    """What a version's record tells of its input."""

    @property
    def size(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def oblong(self) -> str: ...
    @property
    def white(self) -> int: ...


@dataclass(frozen=True)
class ImageInput:
    """A model's input. The defaults, with a size, are those of every model that says nothing else.

    Raises:
        ValueError: a value is not among those that exist.
    """

    size: int  # pixels, both sides
    channels: int = 1  # 1 gray, 3 red, green and blue
    oblong: str = "stretch"  # one of OBLONG
    white: int = _MOST_SAMPLE  # the sample of a 16-bit image that is full white; brighter ones are white too

    def __post_init__(self) -> None:
        # bool is an int, and JSON's true is no size.
        for name, value in (("size", self.size), ("channels", self.channels), ("white", self.white)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"Expected a whole number for {name}. Received: {value!r}")
        if self.size < 1:
            raise ValueError(f"Expected a size of at least 1 pixel. Received: {self.size}")
        if self.channels not in (1, 3):
            raise ValueError(f"Expected 1 channel (gray) or 3 (red, green, blue). Received: {self.channels}")
        if self.oblong not in OBLONG:
            raise ValueError(f"Expected oblong to be one of {', '.join(OBLONG)}. Received: {self.oblong!r}")
        if not 1 <= self.white <= _MOST_SAMPLE:
            raise ValueError(f"Expected white to be a 16-bit sample, 1 to {_MOST_SAMPLE}. Received: {self.white}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the pixels."""
        return self.size, self.size, self.channels

    @classmethod
    def recorded(cls, told: Recorded | None, size: int) -> "ImageInput":
        """The input that a record tells of; in records of before there was more than a `size` there is no more."""
        return cls(told.size, told.channels, told.oblong, told.white) if told else cls(size)

    @classmethod
    def of(cls, wanted: "ImageInput | int") -> "ImageInput":
        """`wanted` itself, or the gray, stretched input of this many pixels a side."""
        return wanted if isinstance(wanted, ImageInput) else cls(wanted)
