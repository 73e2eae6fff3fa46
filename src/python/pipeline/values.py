"""Compares trainyard.toml, model.toml and limits.toml by what they say, not by their bytes, for each model by itself.

A comment asks for nothing; another dataset in a file that all models share asks those alone that take theirs from it.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from contracts.plan import strength
from models import Model
from pipeline import changes
from pipeline.changes import Changes
from settings import Settings
from settings.files import Toml

YARD = "trainyard.toml"
_MODELS = "models"
_OWN = re.compile(rf"{_MODELS}/[^/]+/(model|limits)\.toml")
# What a model's pipeline of then was held to; mail, registry and serving are nothing to it.
_LIMITS = ("gates", "tests", "drift")
_NAME_VARIABLE = "TRAINYARD_MODEL_NAME"
# The folder that answers to whatever name trainyard.toml says, as the one model of earlier Trainyards did.
_FIRST = "chest_xray"


@dataclass(frozen=True)
class Difference:
    """A value of a file that is another now, and the pipeline that this asks for."""

    pipeline: str
    path: str
    # In the file's own words.
    what: str


def is_compared(path: str) -> bool:
    """Whether a file asks for something only by what it says."""
    return path == YARD or _OWN.fullmatch(path) is not None


def differences(root: Path, found: Changes, models: Sequence[Model]) -> dict[str, Difference]:
    """The strongest difference of each model that has one, between `found.base` and the working tree."""
    if found.base is None or not any(map(is_compared, found.files)):
        return {}
    texts = changes.content(root, found.base, [YARD, _MODELS], is_compared)
    before = {path: _parsed(text) for path, text in texts.items()}
    yards = before.get(YARD, {}), _read(root / YARD)
    result = {}
    for model in models:
        folder = f"{_MODELS}/{model.folder.name}"
        own = [(before.get(path), _read(root / path)) for path in (f"{folder}/model.toml", f"{folder}/limits.toml")]
        name = _name(model.folder.name, yards[0], before)
        every = [*_of_own(folder, *own), *_of_yard(*yards, *own)]
        if name != model.name:
            every.append(Difference("train", YARD, f"[model] name was '{name}'"))
        if every:
            result[model.name] = min(every, key=lambda difference: strength(difference.pipeline))
    return result


def _of_own(folder: str, made: tuple[Toml | None, Toml], limits: tuple[Toml | None, Toml]) -> list[Difference]:
    then, now = made
    if then is None:
        return [Difference("train", f"{folder}/model.toml", "the model is new")]
    found = []
    if rest := _unlike(_without_dataset(then), _without_dataset(now)):
        found.append(Difference("train", f"{folder}/model.toml", rest))
    if rest := _unlike(_of_section("dataset", then), _of_section("dataset", now), "dataset"):
        found.append(Difference("retrain", f"{folder}/model.toml", rest))
    if rest := _unlike(limits[0] or {}, limits[1]):
        found.append(Difference("test", f"{folder}/limits.toml", rest))
    return found


def _of_yard(
    then: Toml, now: Toml, made: tuple[Toml | None, Toml], limits: tuple[Toml | None, Toml]
) -> list[Difference]:
    """What trainyard.toml says otherwise, and the model's own files do not override."""
    found = []
    for section in ("dataset", *_LIMITS):
        own = _section((made if section == "dataset" else limits)[1], section)
        old, new = (_of_section(section, {section: {**_section(toml, section), **own}}) for toml in (then, now))
        if rest := _unlike(old, new, section):
            found.append(Difference("retrain" if section == "dataset" else "test", YARD, rest))
    return found


def _name(folder: str, yard: Toml, before: Mapping[str, Toml]) -> str:
    """What the model in `folder` was called."""
    own = folder.replace("_", "-")
    usual = os.environ.get(_NAME_VARIABLE) or _section(yard, "model").get("name", Settings().model.name)
    others = {path.split("/")[1].replace("_", "-") for path in before if path.endswith("/model.toml")}
    return str(usual) if folder == _FIRST and usual not in others | {own} else own


def _without_dataset(toml: Toml) -> Toml:
    return {section: values for section, values in toml.items() if section != "dataset"}


def _of_section(section: str, toml: Toml) -> Toml:
    """A section with its defaults, so that one that is written out is no difference."""
    values = _section(toml, section)
    kind = Settings.model_fields[section].annotation
    try:
        return (
            kind.model_validate(values).model_dump()
            if isinstance(kind, type) and issubclass(kind, BaseModel)
            else values
        )
    except ValidationError:
        return values


def _section(toml: Toml, section: str) -> Toml:
    found = toml.get(section, {})
    return found if isinstance(found, dict) else {section: found}


def _unlike(then: Toml, now: Toml, section: str = "") -> str:
    """The keys whose values differ, as a person would name them; empty where none do."""
    found = []
    for key in sorted({*then, *now}):
        if then.get(key) == now.get(key):
            continue
        old, new = then.get(key, {}), now.get(key, {})
        if not section and isinstance(old, dict) and isinstance(new, dict):
            found.append(_unlike(old, new, key))
        else:
            found.append(key)
    return (f"[{section}] " if section and found else "") + ", ".join(sorted(found))


def _parsed(text: str) -> Toml:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}  # whatever it was to say, it said nothing


def _read(file: Path) -> Toml:
    """A file of the working tree; `models` has read it already and found it in order."""
    return _parsed(file.read_text("utf-8", "replace")) if file.is_file() else {}
