"""What a SavedModel tells of itself: how accurate it was on held-out images, and the card of its model.

As with its input (imaging.signature), the facts stand in the names of the outputs of a signature without inputs, here
`about`: "accuracy=0.9731", "card=for: …". A model server tells names of any version, without running it. All of it is
shown to whoever may ask the adapter, so nothing of single images belongs here: no files, no datasets' addresses.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from contracts.record import Interval, Record

NAME = "about"
MAX_CARD = 4000  # characters
_ROW = re.compile(r"^\|(.*)\|$")
_RULE = re.compile(r"^[\s|:-]*$")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_DIGITS = 6  # of a share; a page that shows three of them must not round what was rounded up before


@dataclass(frozen=True)
class About:
    """Accuracy is the share of the held-out images that the version gets right, with its 95 % interval."""

    accuracy: float
    images: int
    interval: Interval | None = None
    card: str = ""


def of_record(record: Record, card: str = "") -> About | None:
    """What the version of `record` tells; None before it was evaluated."""
    found = record.metrics.test
    if found is None:
        return None
    interval = record.evaluation.accuracy_interval
    return About(
        round(found.accuracy, _DIGITS),
        found.images,
        (round(interval[0], _DIGITS), round(interval[1], _DIGITS)) if interval else None,
        card,
    )


def outputs(about: About) -> dict[str, str]:
    """The outputs of the signature: name -> value, a string without dimensions."""
    told = {"accuracy": str(about.accuracy), "images": str(about.images)}
    if about.interval:
        told |= {"accuracy_low": str(about.interval[0]), "accuracy_high": str(about.interval[1])}
    if about.card:
        told["card"] = about.card
    return {f"{key}={value}": value for key, value in told.items()}


def read(names: Iterable[str]) -> About:
    """What a version with such outputs of `about` tells. Names that are not known are left to later versions.

    Raises:
        ValueError: it is not what `outputs` writes.
    """
    told = dict(name.partition("=")[::2] for name in names)
    missing = [key for key in ("accuracy", "images") if key not in told]
    if missing:
        raise ValueError(f"Expected accuracy and images. Missing: {', '.join(missing)}")
    interval = None
    if "accuracy_low" in told and "accuracy_high" in told:
        interval = (_share(told["accuracy_low"]), _share(told["accuracy_high"]))
    if not re.fullmatch("[0-9]{1,12}", told["images"]):
        raise ValueError("Expected a whole number of images")
    card = told.get("card", "")
    if len(card) > MAX_CARD:
        raise ValueError(f"Expected a card of at most {MAX_CARD} characters. Received: {len(card)}")
    return About(_share(told["accuracy"]), int(told["images"]), interval, card)


def without_card(about: About) -> About:
    """The figures alone: the record holds no card to compare with."""
    return replace(about, card="")


def plain_card(markdown: str) -> str:
    """The text of a model's card.md: a row of a table as "first: second", links as their text, without its title."""
    lines = []
    for line in markdown.splitlines():
        line = _LINK.sub(r"\1", line).replace("`", "").strip()
        if not line or _RULE.fullmatch(line) or line.startswith("# "):
            continue
        if row := _ROW.match(line):
            line = ": ".join(cell.strip() for cell in row[1].split("|") if cell.strip())
        lines.append(line.lstrip("# "))
    text = "\n".join(lines)
    return text if len(text) <= MAX_CARD else text[: MAX_CARD - 1] + "…"


def _share(text: str) -> float:
    if not re.fullmatch(r"[01](\.[0-9]{1,17})?(e-[0-9]{1,2})?", text) or float(text) > 1:
        raise ValueError("Expected a share, 0 to 1")
    return float(text)
