"""Flags that several commands share, said once: the fields of a dataclass."""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Any


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Of a parameter that is a dataclass of Typer's options, its fields become flags, in that place.

    Who calls the command from Python gives all of them by name.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Callable[..., object], list[str]]] = {}
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        kind = parameter.annotation
        if not is_dataclass(kind):
            parameters.append(parameter)
            continue
        assert isinstance(kind, type)
        fields = inspect.signature(kind, eval_str=True).parameters
        groups[name] = kind, list(fields)
        parameters += fields.values()

    @wraps(command)
    def called(**values: Any) -> None:
        for name, (kind, fields) in groups.items():
            values[name] = kind(**{field: values.pop(field) for field in fields if field in values})
        command(**values)

    by_name = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    called.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in by_name}
    return called
