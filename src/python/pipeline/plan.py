"""Decides what a change asks for: the three triggers are nodes of the build graph, found by their tags."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline import changes, graph
from pipeline.changes import Changes
from pipeline.graph import Graph

# Stronger first: training from scratch covers what a retraining would do, and both end in a test.
PIPELINES = ("train", "retrain", "test")
TAG = "trigger:"

_KINDS = {"pex_binary": "build", "docker_image": "image", "python_test": "test"}
# On a program that nobody ships.
_ONLY_RUN = "only-run"


@dataclass(frozen=True)
class Plan:
    """What to do about a change. `pipeline` is None where no model has to be made or tested."""

    pipeline: str | None
    reason: str
    base: str | None
    changed: list[str] = field(default_factory=list)
    affected: dict[str, list[str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def make(root: Path, revision: str) -> Plan:
    """The plan for everything that changed in the checkout at `root` since `revision`."""
    found = changes.since(root, revision)
    if found.base and not found.files:
        return Plan(None, f"nothing changed since {revision}", found.base, [], _sorted_by_kind(Graph({}), []))
    return decide(graph.read(root), found)


def decide(build: Graph, found: Changes) -> Plan:
    """The plan for `found` in the graph `build`."""
    if found.base is None:
        return _everything(build, found, f"{found.why}; so everything is planned")
    for path in graph.GLOBAL_FILES:
        if path in found.files:
            return _everything(build, found, f"{path} can change any target; so everything is planned")
    owned = build.owners(found.present, found.deleted)
    reached = build.affected(owned)
    pipeline, reason = None, "no trigger depends on what changed"
    for name in PIPELINES:
        triggers = [address for address in reached if f"{TAG}{name}" in build.targets[address].tags]
        if triggers:
            pipeline, reason = (
                name,
                _path_to(min(triggers, key=lambda a: len(_steps(a, reached))), reached, owned, name),
            )
            break
    return Plan(pipeline, reason, found.base, found.files, _sorted_by_kind(build, reached))


def _everything(build: Graph, found: Changes, reason: str) -> Plan:
    return Plan(PIPELINES[0], reason, found.base, found.files, _sorted_by_kind(build, build.targets))


def _steps(address: str, reached: dict[str, str | None]) -> list[str]:
    steps = [address]
    while (before := reached[steps[-1]]) is not None:
        steps.append(before)
    return steps[::-1]


def _path_to(trigger: str, reached: dict[str, str | None], owned: dict[str, str], name: str) -> str:
    steps = _steps(trigger, reached)
    return " -> ".join([f"{owned[steps[0]]} changed", *steps, f"{TAG}{name}"])


def _sorted_by_kind(build: Graph, addresses: Any) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {kind: [] for kind in sorted(set(_KINDS.values()))}
    for address in sorted(addresses):
        target = build.targets[address]
        if (kind := _KINDS.get(target.kind)) and _ONLY_RUN not in target.tags:
            result[kind].append(address)
    return result
