"""Text from outside, made safe to show and to send; and words that fit a number."""

import re

# Control characters, line and paragraph separators, marks of direction.
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def one_line(text: str, longest: int = 200) -> str:
    """Text from outside as one line: a break must not start another header, nor a line that looks like one of ours.

    Marks that turn the direction of writing go too, as they make a line read as something else, and halves of
    characters, which can't be sent.
    """
    whole = text.encode("utf-8", "replace").decode()
    return " ".join(_NOT_SHOWN.sub(" ", whole).split())[:longest]


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number and its noun, as in "1 image" and "2 images"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def ordinal(number: int) -> str:
    """As in "1st", "2nd", "3rd", "11th"."""
    last = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{last}"
