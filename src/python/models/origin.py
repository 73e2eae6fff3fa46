"""Where a setting's value comes from, in words: what to change when it is not the one that was meant."""

import os
from collections.abc import Mapping
from pathlib import Path

from models import files
from models.model import Model
from settings import variables
from settings.files import Toml, read_toml
from settings.load import file_of


def origin(
    model: Model,
    section: str,
    field: str,
    start: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """What sets `field` of [section] for `model`: a variable, one of two files, or nothing but the default."""
    variable = f"{variables.PREFIX}{section}_{field}".upper()
    if variable in environment:
        return variable
    for path in (model.folder / files.LIMITS, file_of((start or Path.cwd()).resolve())):
        if path and path.is_file() and field in _section(read_toml(path), section):
            return f"{field} of [{section}] in {_short(path)}"
    return f"the default of {field} in [{section}]"


def _section(values: Toml, section: str) -> Toml:
    found = values.get(section)
    return found if isinstance(found, dict) else {}


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
