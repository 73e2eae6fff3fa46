"""One model, as its folder and the settings around it describe it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contracts.changes import Changes
from imaging.input import ImageInput
from models.files import Value
from settings import Settings


@dataclass(frozen=True)
class Model:
    """What a model is made from and held to."""

    name: str
    folder: Path
    task: str
    input: ImageInput
    changes: Changes
    # A module of training/networks; empty where `network_file` holds the model's own network.
    family: str
    network_file: Path | None
    # A folder of model tests of its own.
    tests: Path | None
    # In the place of the defaults of its network and of its training.
    network: dict[str, Value]
    schedule: dict[str, Value]
    # trainyard.toml, with the model's own files and the TRAINYARD_* variables over it.
    settings: Settings
    # What their reader may not expect: by the section of the settings that it is about, a line.
    notes: dict[str, str] = field(default_factory=dict)


def concerning(notes: Mapping[str, str], *sections: str) -> list[str]:
    """The notes for a command that goes by `sections`, and by the model's files at all."""
    return [notes[section] for section in ("model", *sections) if section in notes]
