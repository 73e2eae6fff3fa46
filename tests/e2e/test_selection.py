"""The truth table of selection: every kind of file, changed in every way, arriving by every history.

Git is real in each case. The build graph is Pants' own, asked once for each way of changing: in a copy of this
repository where every kind of file has been added, deleted or renamed. docs/selection.md tells where more is selected
than is needed.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import changes, graph
from pipeline.graph import Graph
from pipeline.plan import Plan, decide
from tests.e2e import histories
from tests.e2e.histories import Edit, Scratch

HERE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Kind:
    """A kind of file. `{}` in its name stands for the part that tells several files of the kind apart.

    `needs` are targets that a change must affect; `never` are some that it must leave alone. `user` is a file that
    imports those of the kind: who adds, deletes or renames one changes it too.
    """

    file: str
    pipeline: str | None
    needs: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    user: str | None = None

    @property
    def several(self) -> bool:
        return "{}" in self.file

    def name(self, part: str) -> str:
        return self.file.format(part)


def lock(resolve: str) -> str:
    return f"3rdparty/python/{resolve}.lock"


ADAPTER = "serving/adapter:adapter"
CLIENT = "serving/client:client"
TRAIN = "src/python/training:train"
PROMOTE = "src/python/promote:promote"
TEST_MODEL = "src/python/testing:test_model"
DECODING_TESTS = "tests/unit/imaging/test_decode.py:../imaging"
PLAN_TESTS = "tests/unit/pipeline/test_plan.py:../pipeline"
SELECTION_TESTS = "tests/e2e/test_selection.py"

MODEL = "src/python/training/model.py"
DECODE = "src/python/imaging/decode.py"
REGISTRY = "src/python/registry/registry.py"

KINDS = {
    "model code": Kind("src/python/training/{}.py", "train", (TRAIN,), (ADAPTER, PLAN_TESTS), MODEL),
    "shared code": Kind(
        "src/python/imaging/{}.py", "train", (TRAIN, ADAPTER, DECODING_TESTS), (PROMOTE, PLAN_TESTS), DECODE
    ),
    "code of no model": Kind(
        "src/python/registry/{}.py", None, (TRAIN, PROMOTE, TEST_MODEL), (ADAPTER, DECODING_TESTS), REGISTRY
    ),
    "dataset pointer": Kind("datasets/{}.toml", "retrain", (), (TRAIN, ADAPTER, PROMOTE)),
    "model tests": Kind("src/python/testing/suites/test_{}.py", "test", (TEST_MODEL,), (TRAIN, ADAPTER, PROMOTE)),
    "protos": Kind("src/proto/trainyard/v1/{}.proto", None, (ADAPTER, CLIENT, PROMOTE), (DECODING_TESTS,)),
    "lock of ml": Kind(lock("ml"), "train", (TRAIN, TEST_MODEL, DECODING_TESTS), (ADAPTER, PROMOTE)),
    "lock of adapter": Kind(lock("adapter"), None, (ADAPTER, CLIENT), (TRAIN, PROMOTE, DECODING_TESTS)),
    "lock of tools": Kind(lock("tools"), None, (PROMOTE,), (TRAIN, ADAPTER, DECODING_TESTS)),
    "lock of pytest": Kind(lock("pytest"), None, (DECODING_TESTS, PLAN_TESTS), (TRAIN, ADAPTER, PROMOTE)),
    "lock of codegen": Kind(lock("codegen"), None, (ADAPTER, CLIENT, PROMOTE), (DECODING_TESTS,)),
    "lock of dockerfile": Kind(lock("dockerfile"), None, (), (TRAIN, ADAPTER, PROMOTE, DECODING_TESTS)),
    "lock of lint": Kind(lock("lint"), None, ("3rdparty/python:ruff",), (TRAIN, ADAPTER, PROMOTE, DECODING_TESTS)),
    "lock of Pants": Kind(lock("pants"), "train", (TRAIN, ADAPTER, PROMOTE, DECODING_TESTS, PLAN_TESTS)),
    "pants.toml": Kind("pants.toml", "train", (TRAIN, ADAPTER, PROMOTE, DECODING_TESTS, PLAN_TESTS)),
    "Jenkinsfile": Kind("infra/jenkins/Jenkinsfile{}", None, (SELECTION_TESTS,), (TRAIN, ADAPTER, PROMOTE, PLAN_TESTS)),
    "docs": Kind("docs/{}.md", None, (), (TRAIN, ADAPTER, PROMOTE, PLAN_TESTS)),
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
    return {
        "add": (add, "add" if kind.several else "before"),
        "modify": (modify, "before"),
        "delete": (delete, "delete" if kind.several else "before"),
        "rename": (rename, "rename" if kind.several else "before"),
        "mode": (mode, "before"),
    }


WAYS = ("add", "modify", "delete", "rename", "mode")

# History -> what it makes of a change: its own plan, everything, or nothing.
HISTORIES = {
    histories.first_build: "everything",
    histories.several_commits: "its own",
    histories.merge: "its own",
    histories.squash: "its own",
    histories.revert_of_red: "nothing",
    histories.revert_of_green: "its own",
    histories.force_push: "everything",
    histories.shallow_clone: "everything",
}


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Graph]]:
    """This repository's build graph, before and after each way of changing that changes it."""
    root = tmp_path_factory.mktemp("copy") / "repository"
    shutil.copytree(HERE, root, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.pyc", "*.pex", "dist"))
    build = root / "src/python/training/BUILD"
    # Model code is listed by name; the three files of the table are listed too.
    listed = build.read_text().replace("MODEL_CODE = [", 'MODEL_CODE = ["old.py", "new.py", "renamed.py", ')
    assert "new.py" in listed
    build.write_text(listed)

    users = {kind.user: (root / kind.user).read_text() for kind in KINDS.values() if kind.user}

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
        return graph.read(root)

    yield {"before": tree(OLD), "add": tree(OLD, NEW), "delete": tree(), "rename": tree(RENAMED)}
    # Without its folder of pids the copy's daemon ends by itself.
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    root = tmp_path_factory.mktemp("scratch") / "repository"
    return Scratch.of(root, [file for kind in KINDS.values() for file in (kind.name(OLD), kind.user) if file])


def planned(made: Plan) -> set[str]:
    return {address for addresses in made.affected.values() for address in addresses}


def has(affected: set[str], target: str) -> bool:
    return any(address.startswith(target) for address in affected)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_selection(graphs, repository, kind: str, way: str, history) -> None:
    row = KINDS[kind]
    edit, after = edits(row)[way]
    repository.begin(without=row.file if way == "add" and not row.several else None)
    base, checkout = history(repository, edit)
    found = changes.since(checkout, base)
    # A reverted change leaves the graph as it was.
    build = graphs["before" if history is histories.revert_of_green else after]
    made = decide(build, found)
    wanted = HISTORIES[history]
    if wanted == "everything":
        assert made.pipeline == "train"
        assert made.base is None
        assert made.reason.endswith("everything is planned")
        assert planned(made) == planned(decide(build, changes.Changes(None, "")))
    elif wanted == "nothing":
        assert found.files == []
        assert (made.pipeline, planned(made)) == (None, set())
    else:
        affected = planned(made)
        assert made.pipeline == row.pipeline, made.reason
        assert [target for target in row.needs if not has(affected, target)] == [], "too little"
        assert [target for target in row.never if has(affected, target)] == [], "too much"
