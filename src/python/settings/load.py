"""Finds and reads trainyard.toml, lays a model's own files and the TRAINYARD_* variables over it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cli.errors import UsageError
from contracts import location
from settings import variables
from settings.files import Toml, read_toml, require_sections, sentence
from settings.schema import BUILT_IN_DATASETS, Settings

FILE_NAME = "trainyard.toml"


@dataclass(frozen=True)
class Layer:
    """Sections that come before trainyard.toml's: what a model's own file says. Paths count from `base`."""

    path: Path
    base: Path
    values: Mapping[str, Mapping[str, object]]


def load(
    start: Path | None = None, environment: Mapping[str, str] = os.environ, layers: Sequence[Layer] = ()
) -> Settings:
    """The settings in force in folder `start` (by default the working directory).

    trainyard.toml is looked for in `start` and its parents; without one the defaults hold. Of `layers`, a later one
    comes before an earlier one, and TRAINYARD_* variables come before all of them. Relative paths are taken from the
    folder of the file that holds them, those of variables from trainyard.toml's.

    Raises:
        UsageError: a file can't be parsed, has an unknown key, or a value out of range.
    """
    start = (start or Path.cwd()).resolve()
    path = file_of(start)
    base = path.parent if path else start
    values = _anchored(_sections(path), base) if path else {}
    for layer in layers:
        _lay(values, _anchored(layer.values, layer.base))
    told = variables.read(environment)
    _lay(values, _anchored(told, base))
    files = " or ".join(str(one) for one in [path or FILE_NAME, *(layer.path for layer in layers)])
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise UsageError(sentence(error, Settings, f"{files} (or its TRAINYARD_ variable)")) from None
    return Settings.model_validate(_anchored(settings.model_dump(), base))


def file_of(start: Path) -> Path | None:
    """The trainyard.toml that counts in folder `start`."""
    return next((f / FILE_NAME for f in (start, *start.parents) if (f / FILE_NAME).is_file()), None)


def overridden(start: Path, layers: Sequence[Layer]) -> dict[str, str]:
    """For each section of trainyard.toml of which a layer replaces values by other ones, the line that says so."""
    path = file_of(start.resolve())
    own = _sections(path) if path else {}
    lines: dict[str, str] = {}
    for layer in layers:
        for section, fields in layer.values.items():
            usual = _fields(own.get(section))
            replaced = [field for field, value in fields.items() if usual.get(field, value) != value]
            if replaced:
                values = " and ".join(f"{field} = {fields[field]!r}" for field in replaced)
                others = " and ".join(repr(usual[field]) for field in replaced)
                lines[section] = f"{layer.path} says {values} in [{section}]; {path} says {others} for other models"
    return lines


def _sections(path: Path) -> Toml:
    """What the file says; all that it may say are sections, and the schema tells of anything else."""
    values = read_toml(path)
    require_sections(values, Settings.model_fields, path)
    return values


def _lay(values: Toml, above: Mapping[str, object]) -> None:
    for section, fields in above.items():
        values[section] = {**_fields(values.get(section)), **_fields(fields)}


def _fields(section: object) -> dict[str, object]:
    return dict(section) if isinstance(section, Mapping) else {}


# Fields that hold places, as one or several.
_PLACES = (
    ("dataset", "uri"),
    ("dataset", "index"),
    ("registry", "uri"),
    ("signing", "key"),
    ("signing", "public_keys"),
    ("mail", "outbox"),
    ("serving", "token_file"),
    ("serving", "ca"),
    ("serving", "certificate"),
    ("serving", "key"),
)


def _anchored(values: Mapping[str, object], base: Path) -> Toml:
    """`values` with their relative paths taken from `base`."""
    anchored: Toml = {
        section: dict(fields) if isinstance(fields, Mapping) else fields for section, fields in values.items()
    }
    for section, field in _PLACES:
        found = anchored.get(section)
        if isinstance(found, dict) and field in found:
            place = found[field]
            # Whatever is not of the right type is told by the schema, later.
            if isinstance(place, str):
                found[field] = _anchor(place, base)
            elif isinstance(place, list) and all(isinstance(one, str) for one in place):
                found[field] = [_anchor(one, base) for one in place]
    return anchored


def _anchor(text: str, base: Path) -> str:
    if not text or text in BUILT_IN_DATASETS or text.lower().startswith("pkcs11:"):
        return text
    return location.anchored(text, base)
