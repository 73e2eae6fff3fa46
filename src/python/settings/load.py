"""Finds and reads trainyard.toml and the TRAINYARD_* variables."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from cli.errors import UsageError
from contracts import location
from settings.schema import BUILT_IN_DATASETS, Settings

FILE_NAME = "trainyard.toml"
ENV_PREFIX = "TRAINYARD_"


def load(start: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force in folder `start` (by default the working directory).

    trainyard.toml is looked for in `start` and its parents; without one the defaults hold. TRAINYARD_GATES_MIN_ACCURACY
    overrides `min_accuracy` in `[gates]`, and so on. Relative paths are taken from the file's folder.

    Raises:
        UsageError: the file can't be parsed, has an unknown key, or a value out of range.
    """
    start = (start or Path.cwd()).resolve()
    path = next((f / FILE_NAME for f in (start, *start.parents) if (f / FILE_NAME).is_file()), None)
    values = _read(path) if path else {}
    base = path.parent if path else start
    for section, field, name in _variables():
        if name in environment:
            values.setdefault(section, {})[field] = _from_text(section, field, environment[name])
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise UsageError(_sentence(error, path)) from None
    return settings.model_copy(
        update={
            "dataset": settings.dataset.model_copy(update={"uri": _anchor(settings.dataset.uri, base)}),
            "registry": settings.registry.model_copy(update={"uri": _anchor(settings.registry.uri, base)}),
            "signing": settings.signing.model_copy(
                update={
                    "key": _anchor(settings.signing.key, base) if settings.signing.key else "",
                    "public_keys": [_anchor(key, base) for key in settings.signing.public_keys],
                }
            ),
            "mail": settings.mail.model_copy(update={"outbox": _anchor(settings.mail.outbox, base)}),
        }
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}. Correct the file.") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from None
    for section, content in values.items():
        if section in Settings.model_fields and not isinstance(content, dict):
            raise UsageError(f"{path}: '{section}' must be a section; write [{section}] on a line of its own.")
    return values


def _section(name: str) -> type[BaseModel] | None:
    field = Settings.model_fields.get(name)
    # Every field of Settings is a section; tests would fail at once for one that is not.
    return cast("type[BaseModel]", field.annotation) if field else None


def _variables() -> list[tuple[str, str, str]]:
    return [
        (section, field, f"{ENV_PREFIX}{section}_{field}".upper())
        for section in Settings.model_fields
        for field in _section(section).model_fields  # type: ignore[union-attr]
    ]


def _from_text(section: str, field: str, text: str) -> Any:
    if _section(section).model_fields[field].annotation == list[str]:  # type: ignore[union-attr]
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _anchor(text: str, base: Path) -> str:
    if text in BUILT_IN_DATASETS or text.lower().startswith("pkcs11:"):
        return text
    return location.anchored(text, base)


def _sentence(error: ValidationError, path: Path | None) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    where = f"{path or FILE_NAME}"
    if first["type"] == "extra_forbidden":
        *parent, unknown = (str(part) for part in first["loc"])
        fields = _section(parent[0]).model_fields if parent else Settings.model_fields  # type: ignore[union-attr]
        close = difflib.get_close_matches(unknown, fields, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(fields)}."
        return f"{where}: unknown key '{key}'; {hint}"
    return f"{where} (or its TRAINYARD_ variable): '{key}' is {first['input']!r}, which is not allowed: {first['msg']}."
