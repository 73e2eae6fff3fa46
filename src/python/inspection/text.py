"""Names out of a file that nobody has checked yet, as part of a sentence."""

from collections.abc import Sequence

_MOST_CHARACTERS = 80
# A broken file can hold thousands of the same fault; the first few say enough.
MOST_SENTENCES = 20


def shown(name: object) -> str:
    """`name` on one line, printable, and cut where it is long."""
    text = str(name)
    text = text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def few(sentences: Sequence[str], kind: str) -> list[str]:
    """The first of `sentences`, and how many more there are of this kind."""
    rest = len(sentences) - MOST_SENTENCES
    return [*sentences[:MOST_SENTENCES], *([f"There are {rest} more {kind} of this sort."] if rest > 0 else [])]
