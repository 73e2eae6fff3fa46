"""Names of classes: macOS writes the same one in another form of Unicode than others do, and old records hold both."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

_T = TypeVar("_T")


def in_one_form(label: str) -> str:
    return unicodedata.normalize("NFC", label)


def same_classes(labels: Iterable[str], others: Iterable[str]) -> bool:
    """Whether both name the same classes, in whatever form and order."""
    return sorted(map(in_one_form, labels)) == sorted(map(in_one_form, others))


def name_among(label: str, labels: Sequence[str]) -> str:
    """What `labels` call the class `label`; itself where they don't know it."""
    return next((one for one in labels if in_one_form(one) == in_one_form(label)), label)


def named_as(values: Mapping[str, _T], labels: Sequence[str]) -> dict[str, _T]:
    """`values` by class, where a class that `labels` know is called as there."""
    return {name_among(label, labels): value for label, value in values.items()}
