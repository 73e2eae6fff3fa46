"""Plans what a change asks for: each model by itself, since its own pipeline last ended well."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import models
from cli import Exit, TrainyardError, UsageError
from contracts import location
from contracts.location import Local
from contracts.plan import PIPELINES, ModelPlan, Plan, strength
from models import Model
from pipeline import changes, ledger, peek, selection, values
from pipeline.changes import Changes
from pipeline.graph import Graph
from pipeline.ledger import Entry
from pipeline.selection import NOTHING, Asked, Subject

Say = Callable[[str], None]
# Registries in a bucket answer in parallel.
_AT_ONCE = 8
_SELDOM = {Exit.GATE: "it missed its gate, or its tests failed", Exit.DATA: "its data was refused"}


@dataclass(frozen=True)
class Question:
    """What a plan is asked for."""

    # The base of the checks, and of each model of which nothing is known.
    since: str
    # One model alone.
    model: str | None = None
    # A pipeline to carry out whatever changed, of `model` or the usual one, and why.
    demand: str = ""
    why: str = ""
    # Absolute, or None for what the settings say.
    registry: str | None = None
    dataset: str | None = None
    # Whatever is known of earlier pipelines.
    again: bool = False
    # What to do where `since` is unknown here; by hand that is a mistake.
    or_everything: bool = False


def make(root: Path, question: Question, say: Say) -> Plan:
    """The plan for everything that changed in the checkout at `root`. `say` hears what could not be taken into account.

    Raises:
        UsageError: a model, a pipeline or a revision that there is not, or a tree that can't be planned.
        InfrastructureError: Git or Pants can't be started.
    """
    if question.demand and question.demand not in PIPELINES:
        raise UsageError(f"Pipeline {question.demand!r} is not known; ask for one of {', '.join(PIPELINES)}.")
    since = changes.since(root, question.since)
    changes.must_be_known(since, question.since, question.or_everything)
    listed = known(root, question.model)
    demanded = (question.model or models.find(None, root).name) if question.demand else ""
    tree = _Tree(root, listed, question.dataset)
    entries = {} if question.again else _entries(listed, question.registry, say)
    planned = [_of_model(tree, model, since, entries.get(model.name, Entry()), question.since) for model in listed]
    if demanded:
        planned = [_demanded(one, question) if one.name == demanded else one for one in planned]
    nothing = since.base is not None and not since.files
    affected = {"build": [], "image": [], "test": []} if nothing else tree.affected(since)
    why_nothing = f"nothing changed since {question.since}" if nothing else "no model depends on what changed"
    return Plan(None, why_nothing, since.base, since.files, affected).with_models(planned)


def known(root: Path, name: str | None = None) -> list[Model]:
    """The models of the checkout at `root`, or just the one called `name`.

    Raises:
        UsageError: there is none of that name, or the models' files can't be understood.
    """
    # In a checkout without any, those that come with this program are no matter of its pushes.
    found = [models.find(name, root)] if name else models.known(root)
    here = [model for model in found if model.folder.is_relative_to(root)]
    if name and not here:
        raise UsageError(f"There is no model '{name}' in {root}; `./pants run src/python/models -- new` starts one.")
    return here


class _Tree:
    """A checkout, asked about several bases; each question is answered once."""

    def __init__(self, root: Path, listed: Sequence[Model], dataset: str | None) -> None:
        self.root, self._models = root, listed
        self._subjects: list[Subject] = [selection.subject(root, model, dataset) for model in listed]
        self._preludes = selection.preludes_of(root)
        self._asked: dict[str | None, dict[str, Asked]] = {}
        self._changes: dict[str, Changes] = {}

    @cached_property
    def graph(self) -> Graph:
        made = peek.read(self.root)
        selection.prepare(made, self._subjects)
        return made

    def affected(self, found: Changes) -> dict[str, list[str]]:
        return selection.affected(self.graph, found, self._preludes)

    def since(self, commit: str) -> Changes:
        if commit not in self._changes:
            self._changes[commit] = changes.since(self.root, commit)
        return self._changes[commit]

    def asked(self, found: Changes, name: str) -> Asked:
        """What `found` asks for of a model."""
        if found.base and not found.files:
            return NOTHING
        if found.base not in self._asked:
            unlike = values.differences(self.root, found, self._models)
            answers = selection.of_models(self.graph, found, self._subjects, unlike, self._preludes)
            if found.base is None:
                return answers[name]
            self._asked[found.base] = answers
        return self._asked[found.base][name]


def _entries(listed: Sequence[Model], registry: str | None, say: Say) -> dict[str, Entry]:
    def read(model: Model) -> Entry:
        place = registry or model.settings.registry.uri
        parsed = location.parse(place, "registry")
        if isinstance(parsed, Local) and not (parsed.path / model.name / ledger.KEY).exists():
            return Entry()  # which saves the second that it takes to import what reads it
        try:
            return ledger.Ledger(place, model.name).read()
        except TrainyardError as error:
            say(f"What became of {model.name} so far is not known, so it is planned since the revision given: {error}")
            return Entry()

    with ThreadPoolExecutor(_AT_ONCE) as several:
        return dict(zip((model.name for model in listed), several.map(read, listed), strict=True))


def _of_model(tree: _Tree, model: Model, since: Changes, entry: Entry, revision: str) -> ModelPlan:
    name, found = model.name, since
    if entry.done and entry.done.commit:
        found = tree.since(entry.done.commit)
        if found.base is None:
            at = changes.short(entry.done.commit)
            found = replace(found, why=f"{name} was last carried out at {at}, which can't be compared with here")
    asked = tree.asked(found, name)
    base, owed = found.base, asked.pipeline
    if asked == NOTHING:
        where = changes.short(base) if found is not since else revision
        return ModelPlan(name, None, f"{NOTHING.reason} since {where}", base)
    if (way := entry.under_way) and way.alive and way.commit and _covers(tree, name, way.commit, way.pipeline, asked):
        return ModelPlan(name, None, f"{way.pipeline} is under way (run {way.run} on {way.host})", base, owed)
    if (failed := entry.failed) and failed.commit:
        later = tree.asked(tree.since(failed.commit), name)
        at = changes.short(failed.commit)
        if failed.final and _covers(tree, name, failed.commit, failed.pipeline, asked):
            why = (
                f"{failed.pipeline} was carried out at {at}: {_SELDOM[Exit(failed.exit_code)]}; nothing that it "
                "depends on has changed since (--again repeats it)"
            )
            return ModelPlan(name, None, why, base, owed)
        made = failed.version is not None and not failed.final and failed.pipeline != "test"
        if made and owed != "test" and strength(later.pipeline) >= strength("test"):
            why = f"version {failed.version} was made at {at}, and its tests could not be carried out"
            return ModelPlan(name, "test", why, base, "test")
    return ModelPlan(name, asked.pipeline, asked.reason, base, owed)


def _covers(tree: _Tree, name: str, commit: str, pipeline: str, asked: Asked) -> bool:
    """Whether `pipeline`, carried out at `commit`, is all that is asked for now."""
    return strength(pipeline) <= strength(asked.pipeline) and tree.asked(tree.since(commit), name).pipeline is None


def _demanded(planned: ModelPlan, question: Question) -> ModelPlan:
    if strength(planned.pipeline) <= strength(question.demand):
        return planned
    why = question.why or "no reason was given"
    return replace(planned, pipeline=question.demand, reason=f"{question.demand} was asked for: {why}")
