"""What may stand in a model's own files: model.toml says what it is made from, limits.toml what it must reach."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cli.errors import UsageError
from contracts.changes import Changes
from settings.files import Sections, Toml, read_toml, require_sections, sentence

MODEL, LIMITS, NETWORK, CARD, TESTS = "model.toml", "limits.toml", "network.py", "card.md", "tests"
ONE_LABEL = "one label"
# In pixels. Smaller pictures show nothing, larger ones no laptop trains on.
MIN_SIZE, MAX_SIZE = 8, 1024

Value = bool | int | float | str


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Part):
    """What the network sees of a picture."""

    # Height and width in pixels.
    size: int = Field(default=128, ge=MIN_SIZE, le=MAX_SIZE)
    channels: Literal["gray", "rgb"] = "gray"
    # How an oblong picture becomes square: squeezed, with black bars, or its middle alone.
    oblong: Literal["stretch", "pad", "crop"] = "stretch"
    # The sample of a 16-bit picture that is full white.
    white: int = Field(default=65535, ge=255, le=65535)


class ModelFile(_Part):
    """model.toml."""

    task: str
    # A module of training/networks; without one there has to be a network.py.
    family: str = ""
    # As [dataset] of trainyard.toml.
    dataset: dict[str, object] = {}
    input: Input = Input()
    changes: dict[str, object] = {}
    # Parameters of the network and of its training, in the place of their defaults.
    network: dict[str, Value] = {}
    schedule: dict[str, Value] = {}

    @field_validator("task")
    @classmethod
    def _is_known(cls, task: str) -> str:
        if task != ONE_LABEL:
            raise ValueError(f"the one task that can be trained is '{ONE_LABEL}', a single class for each picture")
        return task

    @field_validator("changes")
    @classmethod
    def _are_known(cls, changes: dict[str, object]) -> dict[str, object]:
        known = {field.name: field.type for field in fields(Changes)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"'{name}' is not a change; known are {', '.join(known)}")
            if isinstance(value, bool) != (name == "mirror") or not isinstance(value, (bool, int, float)):
                raise ValueError(f"{name} must be {'true or false' if name == 'mirror' else 'a number'}")
        changes_of(changes)
        return changes


def changes_of(values: Mapping[str, object]) -> Changes:
    """
    Raises:
        ValueError: one is out of range.
    """
    return Changes(**values)  # type: ignore[arg-type]  # each has been checked to be of its kind


class Owner(_Part):
    owner: str


class LimitsFile(_Part):
    """limits.toml: the sections of trainyard.toml that may differ from model to model."""

    gates: dict[str, object] = {}
    tests: dict[str, object] = {}
    drift: dict[str, object] = {}
    mail: Owner | None = None

    def sections(self) -> Sections:
        found: Sections = {"gates": self.gates, "tests": self.tests, "drift": self.drift}
        if self.mail:
            found["mail"] = self.mail.model_dump()
        return {section: values for section, values in found.items() if values}


def read_model(path: Path) -> ModelFile:
    """
    Raises:
        UsageError: the file is missing, or says something that it can't.
    """
    return parse_model(read_toml(path), path)


def parse_model(values: Toml, path: Path) -> ModelFile:
    require_sections(values, ("dataset", "input", "changes", "network", "schedule"), path)
    try:
        return ModelFile.model_validate(values)
    except ValidationError as error:
        raise UsageError(sentence(error, ModelFile, str(path))) from None


def read_limits(path: Path) -> LimitsFile:
    """What limits.toml says; nothing where there is none.

    Raises:
        UsageError: it says something that it can't.
    """
    if not path.is_file():
        return LimitsFile()
    values = read_toml(path)
    require_sections(values, LimitsFile.model_fields, path)
    try:
        return LimitsFile.model_validate(values)
    except ValidationError as error:
        raise UsageError(sentence(error, LimitsFile, str(path))) from None
