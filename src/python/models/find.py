"""Finds the models: beside trainyard.toml or, in a packaged program, those that came with it."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import settings
from cli.errors import UsageError
from imaging.input import ImageInput
from models import files
from models.model import Model
from settings import Layer
from settings.load import file_of

FOLDER = "models"
_CHANNELS = {"gray": 1, "rgb": 3}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# What the repository held when it held a single model, whose name was the settings' to say.
_FIRST = "chest_xray"
_OLD_FLAG = "--model-name"


def find(name: str | None = None, start: Path | None = None, environment: Mapping[str, str] = os.environ) -> Model:
    """The model `name`, or without one the usual one: what `[model] name` says, or the only one there is.

    Raises:
        UsageError: there is no such model, or its files can't be understood.
    """
    start = (start or Path.cwd()).resolve()
    folders = _folders(start)
    usual = settings.load(start, environment).model.name
    first = _FIRST.replace("_", "-")
    only = next(iter(folders)) if len(folders) == 1 else first
    wanted = name or (usual if usual in folders or only == first else only)
    if wanted in folders:
        return _read(wanted, folders[wanted], start, environment)
    # An earlier Trainyard took any name for its one model, from the settings and from the flag of then.
    if first in folders and (wanted == usual or _by_old_flag()):
        model = _read(wanted, folders[first], start, environment)
        note = f"No folder of {FOLDER}/ is called '{wanted}': it is made from {model.folder.name}'s files"
        return replace(model, notes={"model": note, **model.notes})
    raise UsageError(_unknown(wanted, list(folders), start))


def known(start: Path | None = None, environment: Mapping[str, str] = os.environ) -> list[Model]:
    """All models, by their names.

    Raises:
        UsageError: two share a name, or one's files can't be understood.
    """
    start = (start or Path.cwd()).resolve()
    folders = _folders(start)
    usual = settings.load(start, environment).model.name
    first = _FIRST.replace("_", "-")
    if usual not in folders and first in folders:
        folders[usual] = folders.pop(first)
    return [_read(name, folders[name], start, environment) for name in sorted(folders)]


def home(start: Path) -> Path | None:
    """The folder that holds the models' folders; None where there is none."""
    path = file_of(start)
    # Whatever is imported from, and where loose sources or a package keep what came with them.
    places = [path.parent if path else start, *(Path(entry or ".") for entry in sys.path)]
    return next((place / FOLDER for place in places if any((place / FOLDER).glob(f"*/{files.MODEL}"))), None)


def nowhere(start: Path) -> str:
    """Why no model was found from `start` on, and the way out."""
    return (
        f"no folder of {FOLDER}/ holds a {files.MODEL}, as seen from {start}; call this in a clone of the repository "
        "(`models -- new` starts a model there)."
    )


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def name_of(folder: Path) -> str:
    """The name of the model in `folder`.

    Raises:
        UsageError: the folder's name can't be one.
    """
    name = folder.name.replace("_", "-")
    if not is_name(name):
        raise UsageError(f"{folder} can't be a model's folder; name it with up to 63 lower-case letters, digits and _.")
    return name


def _folders(start: Path) -> dict[str, Path]:
    """The folders of all models by name."""
    place = home(start)
    found: dict[str, Path] = {}
    for file in sorted(place.glob(f"*/{files.MODEL}")) if place else []:
        name = name_of(file.parent)
        if name in found:
            raise UsageError(f"{found[name]} and {file.parent} are both called '{name}'; rename one of the folders.")
        found[name] = file.parent
    return found


def _read(name: str, folder: Path, start: Path, environment: Mapping[str, str]) -> Model:
    own = files.read_model(folder / files.MODEL)
    limits = files.read_limits(folder / files.LIMITS)
    base = folder.parent.parent
    layers = [Layer(folder / files.MODEL, base, {"dataset": own.dataset})] if own.dataset else []
    if sections := limits.sections():
        layers.append(Layer(folder / files.LIMITS, base, sections))
    merged = settings.load(start, environment, layers)
    network = folder / files.NETWORK
    if own.family and network.is_file():
        raise UsageError(
            f"{folder} holds a {files.NETWORK} and names the family '{own.family}'; remove one of the two."
        )
    if not own.family and not network.is_file():
        raise UsageError(
            f"{folder / files.MODEL} names no family, and there is no {files.NETWORK}; add one of the two."
        )
    tests = folder / files.TESTS
    return Model(
        name=name,
        folder=folder,
        task=own.task,
        input=ImageInput(own.input.size, _CHANNELS[own.input.channels], own.input.oblong, own.input.white),
        changes=files.changes_of(own.changes),
        family=own.family,
        network_file=network if network.is_file() else None,
        tests=tests if tests.is_dir() else None,
        network=dict(own.network),
        schedule=dict(own.schedule),
        settings=merged.model_copy(update={"model": merged.model.model_copy(update={"name": name})}),
        notes=settings.overridden(start, layers),
    )


def _by_old_flag() -> bool:
    return any(word.split("=")[0] == _OLD_FLAG for word in sys.argv)


def _unknown(wanted: str, there: list[str], start: Path) -> str:
    if not there:
        return f"There is no model '{wanted}', nor any other: {nowhere(start)}"
    return (
        f"There is no model '{wanted}'; those there are: {', '.join(there)}. "
        "`./pants run src/python/models -- new` starts one."
    )
