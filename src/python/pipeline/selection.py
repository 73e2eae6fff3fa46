"""Decides by the build graph what a change asks for: of the checks, and of each model.

The triggers are nodes of the graph, three for each model, found by their tags.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from cli import UsageError
from contracts.plan import PIPELINES, strength
from models import Model
from pipeline.changes import Changes
from pipeline.graph import Graph
from pipeline.values import Difference, is_compared

TAG, MODEL_TAG = "trigger:", "model:"
# A change to one of these can change any target: they say which Pants builds, and how.
GLOBAL_FILES = ("pants.toml", "pants", "3rdparty/python/pants.lock", "3rdparty/python/pex.lock")
_FAMILIES = "src/python/training/networks"

_MADE_FROM = "model.toml"
_MODEL_FILE = re.compile(rf"models/[^/]+/{re.escape(_MADE_FROM)}")

_KINDS = {"pex_binary": "build", "docker_image": "image", "python_test": "test"}
# On a program that nobody ships.
_ONLY_RUN = "only-run"


@dataclass(frozen=True)
class Asked:
    """A pipeline, or None, and why."""

    pipeline: str | None
    reason: str


NOTHING = Asked(None, "nothing that it depends on has changed")


@dataclass(frozen=True)
class Subject:
    """A model, as far as selection knows it."""

    name: str
    # Which it is tagged by, whatever its name in the registry.
    tag: str
    folder: str = ""
    # Beside what its BUILD file says: pipeline -> files and folders of the repository.
    watches: Mapping[str, frozenset[str]] = field(default_factory=dict)


def subject(root: Path, model: Model, dataset: str | None = None) -> Subject:
    """`model` with what its files say and its BUILD file can't: which family it names, or what its own network imports,
    and where its images are from.

    `dataset` is in the place of what its settings say.
    """
    watches: dict[str, frozenset[str]] = {}
    if model.family:
        # A module, or a package of several.
        watches["train"] = frozenset({f"{_FAMILIES}/{model.family}.py", f"{_FAMILIES}/{model.family}"})
    elif model.network_file and model.network_file.is_relative_to(root):
        # What it imports; the macro's target stands for the files of its folder, imported or not.
        watches["train"] = frozenset({str(model.network_file.relative_to(root))})
    place = Path(dataset or model.settings.dataset.uri)
    if place.is_absolute() and place.is_relative_to(root):
        inside = str(place.relative_to(root))
        # A folder that DVC looks after is pointed to by the file beside it.
        watches["retrain"] = frozenset({inside, f"{inside}.dvc"})
    return Subject(model.name, model.folder.name.replace("_", "-"), str(model.folder.relative_to(root)), watches)


def prepare(build: Graph, subjects: Iterable[Subject]) -> None:
    """Adds to `build` what the models' triggers need without their BUILD files saying so.

    Raises:
        UsageError: a model has no triggers.
    """
    for one in subjects:
        for pipeline in PIPELINES:
            triggers = build.tagged(f"{TAG}{pipeline}", f"{MODEL_TAG}{one.tag}")
            if not triggers:
                raise UsageError(
                    f"{one.folder}/BUILD lacks the line `model()`, so no push can ask for a {pipeline} of {one.name}; "
                    "add it."
                )
            for address in triggers:
                for path in one.watches.get(pipeline, ()):
                    build.watch(address, path)


def everything(found: Changes, preludes: Sequence[str] = ()) -> str:
    """Why `found` counts as a change of everything; empty where it does not."""
    if found.base is None:
        return f"{found.why}; so everything is planned"
    for path in found.files:
        if path in GLOBAL_FILES or any(fnmatch(path, glob) for glob in preludes):
            return f"{path} can change any target; so everything is planned"
    return ""


def affected(build: Graph, found: Changes, preludes: Sequence[str] = ()) -> dict[str, list[str]]:
    """The tests, packages and images that need what changed."""
    read = replace(found, deleted=tuple(_without_gone(found.deleted)))
    addresses = build.targets if everything(found, preludes) else _reached(build, read)[1]
    result: dict[str, list[str]] = {kind: [] for kind in sorted(set(_KINDS.values()))}
    for address in sorted(addresses):
        target = build.targets[address]
        if (kind := _KINDS.get(target.kind)) and _ONLY_RUN not in target.tags:
            result[kind].append(address)
    return result


def of_models(
    build: Graph,
    found: Changes,
    subjects: Iterable[Subject],
    differences: Mapping[str, Difference] | None = None,
    preludes: Sequence[str] = (),
) -> dict[str, Asked]:
    """What `found` asks for, by the model's name. `differences` are of the files that count by what they say alone."""
    if why := everything(found, preludes):
        return {one.name: Asked(PIPELINES[0], why) for one in subjects}
    read = Changes(
        found.base,
        "",
        tuple(path for path in found.present if not is_compared(path)),
        tuple(path for path in _without_gone(found.deleted) if not is_compared(path)),
    )
    owned, reached = _reached(build, read)
    result = {}
    for one in subjects:
        said = (differences or {}).get(one.name)
        asked = _by_graph(build, one, owned, reached)
        if said and strength(said.pipeline) < strength(asked.pipeline):
            trigger = build.tagged(f"{TAG}{said.pipeline}", f"{MODEL_TAG}{one.tag}")
            asked = Asked(
                said.pipeline, f"{said.path} changed ({said.what}) -> {' '.join(trigger)} -> {TAG}{said.pipeline}"
            )
        result[one.name] = asked
    return result


@cache
def preludes_of(root: Path) -> tuple[str, ...]:
    """The globs of the files whose macros every BUILD file may use."""
    try:
        settings = tomllib.loads((root / "pants.toml").read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return ()
    return tuple(map(str, settings.get("GLOBAL", {}).get("build_file_prelude_globs", ())))


def _reached(build: Graph, found: Changes) -> tuple[dict[str, str], dict[str, str | None]]:
    owned = build.owners(found.present, found.deleted)
    return owned, build.affected(owned)


def _without_gone(deleted: Sequence[str]) -> list[str]:
    """`deleted` without the BUILD files of models that are gone with their folders: what these declared was their own,
    and the macro in the folder above is every other model's."""
    gone = {path.removesuffix(_MADE_FROM) for path in deleted if _MODEL_FILE.fullmatch(path)}
    return [path for path in deleted if path.removesuffix("BUILD") not in gone]


def _by_graph(build: Graph, one: Subject, owned: Mapping[str, str], reached: Mapping[str, str | None]) -> Asked:
    for pipeline in PIPELINES:
        triggers = [a for a in build.tagged(f"{TAG}{pipeline}", f"{MODEL_TAG}{one.tag}") if a in reached]
        if triggers:
            steps = min((_steps(trigger, reached) for trigger in triggers), key=len)
            return Asked(pipeline, " -> ".join([f"{owned[steps[0]]} changed", *steps, f"{TAG}{pipeline}"]))
    return NOTHING


def _steps(address: str, reached: Mapping[str, str | None]) -> list[str]:
    steps = [address]
    while (before := reached[steps[-1]]) is not None:
        steps.append(before)
    return steps[::-1]
