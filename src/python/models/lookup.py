"""A model's name and settings, for commands that handle versions and need none of its files."""

from dataclasses import dataclass, field
from pathlib import Path

import settings
from cli.errors import TrainyardError, UsageError
from models.find import find, home
from registry import Registry
from settings import Settings


@dataclass(frozen=True)
class Named:
    name: str
    # trainyard.toml, with the model's own files and the TRAINYARD_* variables over it.
    settings: Settings
    # As those of `Model`.
    notes: dict[str, str] = field(default_factory=dict)


def named(name: str | None, registry: str | None = None, start: Path | None = None) -> Named:
    """The model `name`, or without one the usual one; its versions are in `registry` or where the settings say.

    A model without a folder is one too as long as the registry holds versions of it: its folder may be gone, and
    promoting goes on. Without any folder of models (a packaged program, an operator's machine) the name is as good as
    it is given.

    Raises:
        UsageError: there is no such model, and the sentence lists those there are; or its files can't be understood.
    """
    start = (start or Path.cwd()).resolve()
    if home(start) is None:
        loaded = settings.load(start)
        return Named(name or loaded.model.name, loaded)
    try:
        model = find(name, start)
    except UsageError:
        if name is None or not _has_versions(name, registry or settings.load(start).registry.uri):
            raise
        return Named(name, settings.load(start))
    return Named(model.name, model.settings, model.notes)


def _has_versions(name: str, registry: str) -> bool:
    try:
        return bool(Registry.open(registry, name).store.list("records"))
    except TrainyardError:
        return False
