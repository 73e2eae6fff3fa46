"""One model, as its folder and the settings around it describe it."""

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
    # A line for each thing about these files that their reader may not expect.
    notes: list[str] = field(default_factory=list)
