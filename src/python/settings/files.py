"""TOML files of settings: read, and their mistakes told in one sentence."""

import difflib
import tomllib
from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ValidationError

from cli.errors import UsageError

# A TOML file; most of what is in it are sections.
Toml = dict[str, object]
Sections = dict[str, dict[str, object]]


def read_toml(path: Path) -> Toml:
    """
    Raises:
        UsageError: the file can't be read, or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}. Correct the file.") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from None


def require_sections(values: Toml, sections: Collection[str], path: Path) -> None:
    """
    Raises:
        UsageError: a name that is one of `sections` stands for a plain value.
    """
    for section, content in values.items():
        if section in sections and not isinstance(content, dict):
            raise UsageError(f"{path}: '{section}' must be a section; write [{section}] on a line of its own.")


def sentence(error: ValidationError, schema: type[BaseModel], where: str) -> str:
    """The first mistake that pydantic found in values for `schema`, as a sentence about the file `where`."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{where}: '{key}' is missing; add it."
    if first["type"] == "extra_forbidden":
        *parent, unknown = (str(part) for part in first["loc"])
        return f"{where}: unknown key '{key}'; {hint(unknown, fields_of(schema, parent))}"
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: '{key}' is {first['input']!r}, which is not allowed: {message}."


def hint(unknown: str, known: Collection[str]) -> str:
    """The end of a sentence that names what `unknown` may have meant."""
    close = difflib.get_close_matches(unknown, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}."


def fields_of(schema: type[BaseModel], path: Collection[str] = ()) -> list[str]:
    """The names of the fields of `schema`, or of the section below it that `path` leads to."""
    for name in path:
        field = schema.model_fields.get(name)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        schema = field.annotation
    return list(schema.model_fields)
