"""The truth table of selection: every kind of file, changed in every way, arriving by every history, for every model.

Git is real in each case: each way of changing goes through each history once, with files of all kinds. The build graph
is Pants' own, of a copy of this repository where a third model stands beside the two: once with every kind's file that
is changed and one that is added, once with neither, as they are after it was deleted or renamed. Each kind has files in
its folder that stay. docs/selection.md tells where more is selected than
is needed. What counts by value (trainyard.toml, model.toml, limits.toml) is in test_plans_of_this_repository.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest

import models
from pipeline import changes, peek, selection
from pipeline.changes import Changes
from pipeline.graph import Graph
from pipeline.selection import Subject
from tests.e2e import histories
from tests.e2e.histories import Edit, Scratch
from tests.repository import Repository

HERE = Path(__file__).parents[2]
CHEST, DIGITS, THIRD = "chest-xray", "digits", "third"
MODELS = (CHEST, DIGITS, THIRD)
# Made from the images behind datasets/old.toml, by a family of its own.
MODEL_TOML = """task = "one label"
family = "old"

[dataset]
uri = "datasets/old.toml"
"""

Asks = dict[str, str]


def each(pipeline: str, *names: str) -> Asks:
    return dict.fromkeys(names or MODELS, pipeline)


@dataclass(frozen=True)
class Kind:
    """A kind of file. `{}` in its name stands for the part that tells several files of the kind apart.

    `asks` is for each model that it asks something; of the others it must ask nothing. `adding` is in its place where
    a file is added beside the others. `needs` are targets that a change must affect; `never` are some that it must
    leave alone. `user` is a file that imports those of the kind: who adds, deletes or renames one changes it too.
    """

    file: str
    asks: Asks = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    user: str | None = None
    adding: Asks | None = None

    @property
    def several(self) -> bool:
        return "{}" in self.file

    def name(self, part: str) -> str:
        return self.file.format(part)

    def files(self, way: str) -> set[str]:
        """All that may change with it."""
        return {self.name(part) for part in (OLD, NEW, RENAMED)} | {f"{self.file}.moved", self.user or self.file}


def lock(resolve: str) -> str:
    return f"3rdparty/python/{resolve}.lock"


ADAPTER = "serving/adapter:adapter"
CLIENT = "serving/client:client"
MODEL_SERVER = "serving/model_server:model_server"
TRAIN = "src/python/training:train"
PROMOTE = "src/python/promote:promote"
TEST_MODEL = "src/python/testing:test_model"
DECODING_TESTS = "tests/unit/imaging/test_decode.py:../imaging"
PLAN_TESTS = "tests/unit/pipeline/test_changes.py:../pipeline"
SELECTION_TESTS = "tests/e2e/test_selection.py"

LOOP = "src/python/training/loop.py"
DECODE = "src/python/imaging/decode.py"
REGISTRY = "src/python/registry/registry.py"

KINDS = {
    "model code": Kind("src/python/training/{}.py", each("train"), (TRAIN,), (ADAPTER, PLAN_TESTS), LOOP),
    "shared code": Kind(
        "src/python/imaging/{}.py", each("train"), (TRAIN, ADAPTER, DECODING_TESTS), (MODEL_SERVER,), DECODE
    ),
    # A family beside it is no model's until one names it.
    "family": Kind(
        "src/python/training/networks/{}.py", each("train", THIRD), (), (ADAPTER, PROMOTE, PLAN_TESTS), adding={}
    ),
    "a model's network": Kind("models/digits/network.py", each("train", DIGITS), (), (ADAPTER, PLAN_TESTS)),
    "what stands beside it": Kind("models/digits/{}.py", each("train", DIGITS), (TRAIN,), (ADAPTER, PLAN_TESTS)),
    "a model's tests": Kind(
        "models/digits/tests/test_{}.py", each("test", DIGITS), (TEST_MODEL,), (ADAPTER, PLAN_TESTS)
    ),
    "a model's BUILD file": Kind("models/digits/BUILD", each("train", DIGITS), (), (ADAPTER, PROMOTE, PLAN_TESTS)),
    "a model's card": Kind("models/digits/{}.md", {}, (), (TRAIN, ADAPTER, PROMOTE, PLAN_TESTS)),
    "the models' macro": Kind("models/model.prelude", each("train"), (TRAIN, ADAPTER, PROMOTE, PLAN_TESTS)),
    "code of no model": Kind(
        "src/python/registry/{}.py", {}, (TRAIN, PROMOTE, TEST_MODEL), (ADAPTER, DECODING_TESTS), REGISTRY
    ),
    "dataset pointer": Kind("datasets/{}.toml", each("retrain", THIRD), (), (TRAIN, ADAPTER, PROMOTE), adding={}),
    "dataset pointer of another model": Kind(
        "datasets/digits.toml", each("retrain", DIGITS), (), (TRAIN, ADAPTER, PROMOTE)
    ),
    "dataset pointer of no model": Kind("datasets/unused_{}.toml", {}, (), (TRAIN, ADAPTER, PROMOTE)),
    "model tests": Kind("src/python/testing/suites/test_{}.py", each("test"), (TEST_MODEL,), (TRAIN, ADAPTER, PROMOTE)),
    "protos": Kind("src/proto/trainyard/v1/{}.proto", {}, (ADAPTER, CLIENT, PROMOTE), (DECODING_TESTS,)),
    "lock of ml": Kind(lock("ml"), each("train"), (TRAIN, TEST_MODEL, DECODING_TESTS), (ADAPTER, PROMOTE)),
    "lock of adapter": Kind(lock("adapter"), {}, (ADAPTER, CLIENT), (TRAIN, PROMOTE, DECODING_TESTS)),
    "lock of tools": Kind(lock("tools"), {}, (PROMOTE,), (TRAIN, ADAPTER, DECODING_TESTS)),
    "lock of pytest": Kind(lock("pytest"), {}, (DECODING_TESTS, PLAN_TESTS), (TRAIN, ADAPTER, PROMOTE)),
    "lock of codegen": Kind(lock("codegen"), {}, (ADAPTER, CLIENT, PROMOTE), (DECODING_TESTS,)),
    "lock of dockerfile": Kind(lock("dockerfile"), {}, (), (TRAIN, ADAPTER, PROMOTE, DECODING_TESTS)),
    "lock of lint": Kind(lock("lint"), {}, ("3rdparty/python:ruff",), (TRAIN, ADAPTER, PROMOTE, DECODING_TESTS)),
    "lock of Pants": Kind(lock("pants"), each("train"), (TRAIN, ADAPTER, PROMOTE, DECODING_TESTS, PLAN_TESTS)),
    "pants.toml": Kind("pants.toml", each("train"), (TRAIN, ADAPTER, PROMOTE, DECODING_TESTS, PLAN_TESTS)),
    "Jenkinsfile": Kind("infra/jenkins/Jenkinsfile{}", {}, (SELECTION_TESTS,), (TRAIN, ADAPTER, PROMOTE, PLAN_TESTS)),
    "docs": Kind("docs/{}.md", {}, (), (TRAIN, ADAPTER, PROMOTE, PLAN_TESTS)),
}

# The three files of a kind, where it has several: one to change, delete or rename, one to add, one to rename to.
OLD, NEW, RENAMED = "old", "new", "renamed"


def edits(kind: Kind) -> dict[str, tuple[Edit, str]]:
    """Way of changing -> what it does to a working tree, and in which of the trees the graph is as it leaves it."""
    old, new = kind.name(OLD), kind.name(NEW)
    renamed = kind.name(RENAMED) if kind.several else old + ".moved"

    def with_user(root: Path) -> None:
        if kind.user:
            (root / kind.user).write_text("imports others\n")

    def add(root: Path) -> None:
        (root / new).write_text("new\n")
        with_user(root)

    def modify(root: Path) -> None:
        (root / old).write_text("changed\n")

    def delete(root: Path) -> None:
        (root / old).unlink()
        with_user(root)

    def rename(root: Path) -> None:
        (root / old).rename(root / renamed)
        with_user(root)

    def mode(root: Path) -> None:
        (root / old).chmod(0o755)

    # Without its one pants.toml, or one of its locks, Pants reads no tree at all (test_plans_of_this_repository.py): so
    # there the graph is that of the whole tree.
    gone = "gone" if kind.several else "there"
    return {
        "add": (add, "there"),
        "modify": (modify, "there"),
        "delete": (delete, gone),
        "rename": (rename, gone),
        "mode": (mode, "there"),
    }


WAYS = ("add", "modify", "delete", "rename", "mode")

# History -> what it makes of a change: its own plan, everything, or nothing.
HISTORIES = {
    histories.first_build: "everything",
    histories.several_commits: "its own",
    histories.merge: "its own",
    histories.squash: "its own",
    histories.branch_while_main_went_on: "its own",
    histories.merge_of_a_pull_request: "its own",
    histories.revert_of_red: "nothing",
    histories.revert_of_green: "its own",
    histories.force_push: "its own",
    histories.force_push_that_takes_back: "its own",
    histories.shallow_clone: "everything",
}
# Those that leave the tree as it was before the change.
TAKEN_BACK = (histories.revert_of_green, histories.force_push_that_takes_back)


@pytest.fixture(scope="module")
def graphs(copy: Repository) -> tuple[dict[str, Graph], list[Subject]]:
    """This repository's build graph with a third model: with the files of the table, and with what renaming leaves."""
    copy.begin()
    root = copy.root
    build = root / "src/python/training/BUILD"
    # Model code is listed by name; the three files of the table are listed too.
    build.write_text(build.read_text().replace("MODEL_CODE = [", 'MODEL_CODE = ["old.py", "new.py", "renamed.py", '))
    families = root / "src/python/training/networks"
    families.mkdir(exist_ok=True)
    if not (families / "BUILD").exists():
        (families / "BUILD").write_text('python_sources(name="lib")\n')
    third = root / "models" / THIRD
    third.mkdir()
    (third / "BUILD").write_text("model()\n")
    (third / "model.toml").write_text(MODEL_TOML)

    users = {kind.user: (root / kind.user).read_text() for kind in KINDS.values() if kind.user}
    subjects = [selection.subject(root, model) for model in models.known(root)]
    assert [subject.name for subject in subjects] == list(MODELS)

    def tree(*parts: str) -> Graph:
        for kind in KINDS.values():
            for part in (OLD, NEW, RENAMED) if kind.several else ():
                file = root / kind.name(part)
                file.parent.mkdir(parents=True, exist_ok=True)
                if part in parts:
                    file.write_text('syntax = "proto3";\n' if file.suffix == ".proto" else "")
                else:
                    file.unlink(missing_ok=True)
            if kind.user:
                package = Path(kind.user).parent.name
                imports = "".join(f"import {package}.{part}\n" for part in parts)
                (root / kind.user).write_text(imports + users[kind.user])
        made = peek.read(root)
        selection.prepare(made, subjects)
        return made

    made = {"there": tree(OLD, NEW), "gone": tree(RENAMED)}
    copy.begin()
    return made, subjects


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Changes]:
    """What Git tells of all kinds' files together, by (way, history's name)."""
    root = tmp_path_factory.mktemp("scratch") / "repository"
    scratch = Scratch.of(root, sorted({f for kind in KINDS.values() for f in (kind.name(OLD), kind.user) if f}))
    every = {}
    for way in WAYS:
        each_edit = [edits(kind)[way][0] for kind in KINDS.values()]

        def edit(folder: Path, each_edit: list[Edit] = each_edit) -> None:
            for one in each_edit:
                one(folder)

        absent = [kind.file for kind in KINDS.values() if way == "add" and not kind.several]
        for history in HISTORIES:
            scratch.begin(without=absent)
            base, checkout = history(scratch, edit)
            every[way, history.__name__] = changes.since(checkout, base)
    return every


def planned(affected: dict[str, list[str]]) -> set[str]:
    return {address for addresses in affected.values() for address in addresses}


def has(affected: set[str], target: str) -> bool:
    return any(address.startswith(target) for address in affected)


def only(all_kinds: Changes, kind: Kind, way: str) -> Changes:
    """What Git would tell had this kind alone changed: it compares file by file."""
    mine = kind.files(way)

    def of_mine(paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(path for path in paths if path in mine)

    return Changes(all_kinds.base, all_kinds.why, of_mine(all_kinds.present), of_mine(all_kinds.deleted))


Answer = tuple[Asks, set[str]]


@pytest.fixture(scope="module")
def decided(graphs) -> Callable[[str, Changes], Answer]:
    """decided(tree, changes): what is asked of which model, and the affected targets; each answered once."""
    trees, subjects = graphs
    macros = selection.preludes_of(HERE)

    @cache
    def decide(tree: str, changed: Changes) -> Answer:
        asked = selection.of_models(trees[tree], changed, subjects, preludes=macros)
        affected = planned(selection.affected(trees[tree], changed, macros))
        return {name: one.pipeline for name, one in asked.items() if one.pipeline}, affected

    # Which commit it was compared with tells nothing more.
    return lambda tree, changed: decide(tree, replace(changed, base=changed.base and "base"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_selection(decided, found, kind: str, way: str) -> None:
    row = KINDS[kind]
    for history, wanted in HISTORIES.items():
        by = f"by {history.__name__}"
        changed = only(found[way, history.__name__], row, way)
        tree = "there" if history in TAKEN_BACK else edits(row)[way][1]
        asked, affected = decided(tree, changed)
        if wanted == "everything":
            assert changed.base is None, by
            assert asked == each("train"), by
            assert affected == decided(tree, Changes(None, ""))[1], by
        elif wanted == "nothing":
            assert (changed.files, asked, affected) == ([], {}, set()), by
        else:
            asks = row.asks if row.adding is None or way != "add" else row.adding
            assert asked == asks, by
            assert [target for target in row.needs if not has(affected, target)] == [], f"too little, {by}"
            assert [target for target in row.never if has(affected, target)] == [], f"too much, {by}"
