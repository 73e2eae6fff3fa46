"""Names of classes: macOS writes the same one in another form of Unicode than others do, and old records hold both."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

_T = TypeVar("_T")
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


def in_one_form(label: str) -> str:
    return unicodedata.normalize("NFC", label)


def same_classes(labels: Iterable[str], others: Iterable[str]) -> bool:
    """Whether both name the same classes, in whatever form and order."""
    return sorted(map(in_one_form, labels)) == sorted(map(in_one_form, others))


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Those whose names differ in capitals, spaces and dashes alone: most likely one class, spelt in several ways."""
    found: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        found.setdefault(_BETWEEN_WORDS.sub(" ", in_one_form(label).strip().casefold()), []).append(label)
    return [several for several in found.values() if len(several) > 1]


def told_alike(several: Sequence[str]) -> str:
    """What to say of such classes."""
    names = " and ".join(f"'{label}'" for label in several)
    return (
        f"{names} count as {len(several)} classes, though their names differ in capitals, spaces or dashes alone; if "
        "they are one, put their images into one folder."
    )


def told_padded(labels: Iterable[str]) -> list[str]:
    """What to say of names with spaces around them, which nobody sees and every answer repeats."""
    return [
        f"The name of class '{label}' begins or ends with a space; rename its folder to '{label.strip()}'."
        for label in sorted(set(labels))
        if label != label.strip()
    ]


def name_among(label: str, labels: Sequence[str]) -> str:
    """What `labels` call the class `label`; itself where they don't know it."""
    return next((one for one in labels if in_one_form(one) == in_one_form(label)), label)


def named_as(values: Mapping[str, _T], labels: Sequence[str]) -> dict[str, _T]:
    """`values` by class, where a class that `labels` know is called as there."""
    return {name_among(label, labels): value for label, value in values.items()}
