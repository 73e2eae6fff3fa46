"""Plain values, as TOML and JSON hold them, made into the dataclasses that describe networks and schedules."""

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

Value = bool | int | float | str
_T = TypeVar("_T")


def filled(kind: type[_T], values: Mapping[str, Value]) -> _T:
    """The dataclass `kind` of plain values, with `values` in the place of its defaults.

    Raises:
        ValueError: a name that it does not know, or a value that it does not take.
    """
    defaults = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    found: dict[str, object] = {}
    for name, value in values.items():
        if name not in defaults:
            close = difflib.get_close_matches(name, defaults, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(defaults) or 'none'}."
            raise ValueError(f"There is no parameter '{name}'; {hint}")
        wanted = type(defaults[name])
        # As JSON and TOML give them back.
        if wanted is float and type(value) is int:
            value = float(value)
        if wanted is tuple and isinstance(value, list):
            value = tuple(value)
        if type(value) is not wanted:
            raise ValueError(f"Expected {_a(_NAMES.get(wanted, wanted.__name__))} for {name}. Received: {value!r}")
        found[name] = value
    return kind(**found)


_NAMES = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def _a(noun: str) -> str:
    return noun if noun == "true or false" else f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"
