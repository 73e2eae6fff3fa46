"""Decisions on a small graph made by hand; tests/e2e holds them against the real one."""

from dataclasses import replace

import pytest

from cli import UsageError
from pipeline import selection
from pipeline.changes import Changes
from pipeline.graph import Graph, Target
from pipeline.selection import Subject, affected, of_models
from pipeline.values import Difference

FAMILIES = "src/python/training/networks"


def target(address, kind="python_source", tags=(), sources=(), needs=(), globs=()):
    return Target(address, kind, frozenset(tags), frozenset(sources), frozenset(needs), tuple(globs))


def listing(folder, globs, files, tags=(), needs=()):
    """A target that lists files, and one for each of them, as Pants shows them."""
    each = [target(f"{folder}/{f}:lib", tags=tags, sources=[f"{folder}/{f}"], needs=needs) for f in files]
    paths = [f"{folder}/{f}" for f in files]
    return [target(f"{folder}:lib", "python_sources", tags, paths, [t.address for t in each], globs), *each]


def model(name, *train, test=()):
    """The three nodes that `model()` in a BUILD file makes."""
    folder = f"models/{name}"
    made_from = target(f"{folder}:made-from", "resources", sources=[f"{folder}/model.toml"])
    network = target(
        f"{folder}:network",
        "resources",
        sources=[f"{folder}/{file}" for file in ("network.py", "blocks.py", "unused.py")],
        globs=["**/*.py", "!tests/**"],
    )
    limits = target(f"{folder}:limits", "resources", sources=[f"{folder}/limits.toml"])
    own_tests = target(f"{folder}:tests", globs=["tests/*.py"], sources=[f"{folder}/tests/test_own.py"])
    common = ["models:macro"]

    def trigger(pipeline, *needs):
        tags = [f"trigger:{pipeline}", f"model:{name}"]
        return target(f"{folder}:{pipeline}", "target", tags, needs=[*common, *needs])

    return [
        made_from,
        network,
        limits,
        own_tests,
        trigger("train", made_from.address, network.address, "training:lib", *train),
        trigger("retrain"),
        trigger("test", limits.address, own_tests.address, "testing:lib", *test),
    ]


def networks(*names):
    """All networks as source code: one target of the folder above lists them, and what stands beside them."""
    files = {
        f"models/{name}/{file}.py": f"models/{name}/{file}.py:../networks"
        for name in names
        for file in ("network", "blocks")
    }
    # own's network imports its blocks, and those a family.
    needs = {
        "models/own/network.py": [files["models/own/blocks.py"]],
        "models/own/blocks.py": [f"{FAMILIES}/parts.py:lib"],
    }
    each = [target(address, sources=[file], needs=needs.get(file, ())) for file, address in files.items()]
    lists = target("models:networks", "python_sources", ["found-by-name"], files, files.values(), ["*/**/*.py"])
    return [lists, *each]


NAMES = ("a", "b", "own")


@pytest.fixture
def graph():
    targets = [
        *listing("imaging", ["*.py", "!skip.py"], ["decode.py", "other.py"]),
        *listing("training", ["*.py"], ["loop.py"], needs=["imaging/decode.py:lib"]),
        *listing(FAMILIES, ["*.py"], ["one.py", "two.py", "shared.py", "parts.py"]),
        *listing("registry", ["*.py"], ["store.py"]),
        *listing("testing", ["suites/*.py"], ["suites/a.py"]),
        *listing("datasets", ["*.toml"], ["a.toml", "b.toml", "nobodys.toml"]),
        *(each for name in NAMES for each in model(name)),
        *networks(*NAMES),
        target("models:macro", "files", sources=["models/model.prelude"]),
        target("lock:_lock", "_lockfile", sources=["lock"]),
        target("3rdparty:tensorflow", needs=["lock:_lock"]),
        target("training:train", "pex_binary", needs=["training/loop.py:lib", "registry/store.py:lib"]),
        target("benchmarks:training", "pex_binary", tags=["only-run"], needs=["training/loop.py:lib"]),
        target("serving:image", "docker_image", needs=["imaging/decode.py:lib"]),
        target(
            "tests/test_store.py:tests", "python_test", sources=["tests/test_store.py"], needs=["registry/store.py:lib"]
        ),
    ]
    # A family may share code with another.
    one = next(t for t in targets if t.address == f"{FAMILIES}/one.py:lib")
    targets[targets.index(one)] = replace(one, dependencies=frozenset([f"{FAMILIES}/shared.py:lib"]))
    made = Graph({t.address: t for t in targets})
    selection.prepare(made, SUBJECTS)
    return made


def subject(name, tag, family, *pointers):
    network = f"{FAMILIES}/{family}.py" if family else f"models/{tag}/network.py"
    watches = {"retrain": frozenset(pointers), "train": frozenset({network})}
    return Subject(name, tag, f"models/{tag}", watches)


SUBJECTS = [
    subject("a", "a", "one", "datasets/a.toml"),
    # Called otherwise in the registry than its folder.
    subject("bee", "b", "two", "datasets/b.toml"),
    # With a network of its own, and images below a folder of the repository that DVC looks after.
    subject("own", "own", None, "datasets/xrays", "datasets/xrays.dvc"),
]
ALL = ["a", "bee", "own"]


def plan(graph, *present, deleted=(), differences=None):
    """The models that a change asks something for: {name: pipeline}."""
    asked = of_models(graph, Changes("base", "", tuple(present), tuple(deleted)), SUBJECTS, differences)
    return {name: one.pipeline for name, one in asked.items() if one.pipeline}


def reason(graph, name, *present):
    return of_models(graph, Changes("base", "", tuple(present)), SUBJECTS)[name].reason


def checks(graph, *present, deleted=()):
    return affected(graph, Changes("base", "", tuple(present), tuple(deleted)))


def each(pipeline, *names):
    return dict.fromkeys(names or ALL, pipeline)


# Kind of file -> a file, and what a change of it asks for: of the models that need it, and of no other.
CASES = {
    "the loop": ("training/loop.py", each("train")),
    "imaging": ("imaging/decode.py", each("train")),
    "a family": (f"{FAMILIES}/one.py", each("train", "a")),
    "another family": (f"{FAMILIES}/two.py", each("train", "bee")),
    "what a family shares": (f"{FAMILIES}/shared.py", each("train", "a")),
    "a model's network": ("models/own/network.py", each("train", "own")),
    "what it imports beside it": ("models/own/blocks.py", each("train", "own")),
    "what that imports": (f"{FAMILIES}/parts.py", each("train", "own")),
    "what it may import beside it": ("models/own/unused.py", each("train", "own")),
    "a dataset's pointer": ("datasets/a.toml", each("retrain", "a")),
    "another dataset's pointer": ("datasets/b.toml", each("retrain", "bee")),
    "the pointer of a folder of images": ("datasets/xrays.dvc", each("retrain", "own")),
    "an image of such a folder": ("datasets/xrays/one/1.png", each("retrain", "own")),
    "a folder called likewise": ("datasets/xrays2/one/1.png", {}),
    "a pointer that no model uses": ("datasets/nobodys.toml", {}),
    "a model's own tests": ("models/a/tests/test_own.py", each("test", "a")),
    "the common suites": ("testing/suites/a.py", each("test")),
    "a model's card": ("models/a/card.md", {}),
    "a model's BUILD file": ("models/a/BUILD", each("train", "a")),
    "the macro": ("models/model.prelude", each("train")),
    "no model's code": ("registry/store.py", {}),
    "a unit test": ("tests/test_store.py", {}),
    "docs": ("README.md", {}),
    # Which counts by what it says: `pipeline.values`.
    "model.toml": ("models/a/model.toml", {}),
    "limits.toml": ("models/a/limits.toml", {}),
    "trainyard.toml": ("trainyard.toml", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_change_asks_for_what_needs_it_and_for_no_other_model(graph, case):
    path, wanted = CASES[case]
    assert plan(graph, path) == wanted


@pytest.mark.parametrize("case", [case for case, (path, _) in CASES.items() if "model." not in path])
def test_deletion_asks_for_no_less(graph, case):
    path, wanted = CASES[case]
    found = plan(graph, deleted=[path])
    assert {name: found.get(name) for name in wanted} == wanted


def test_stronger_pipeline_supersedes_model_by_model(graph):
    assert plan(graph, "testing/suites/a.py", "datasets/a.toml") == {"a": "retrain", "bee": "test", "own": "test"}
    assert plan(graph, "testing/suites/a.py", "datasets/a.toml", f"{FAMILIES}/two.py") == {
        "a": "retrain",
        "bee": "train",
        "own": "test",
    }


def test_difference_of_values_asks_as_a_changed_file_does(graph):
    data = Difference("retrain", "trainyard.toml", "[dataset] uri")
    assert plan(graph, "trainyard.toml", differences={"bee": data}) == {"bee": "retrain"}
    assert plan(graph, "trainyard.toml", f"{FAMILIES}/two.py", differences={"bee": data}) == {"bee": "train"}
    asked = of_models(graph, Changes("base", "", ("trainyard.toml",)), SUBJECTS, {"bee": data})["bee"]
    assert asked.reason == "trainyard.toml changed ([dataset] uri) -> models/b:retrain -> trigger:retrain"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("imaging/gone.py", each("train")),
        ("registry/gone.py", {}),
        ("testing/suites/gone.py", each("test")),
        ("models/own/network.py", each("train", "own")),
        ("models/own/parts/blocks.py", each("train", "own")),
        ("README.md", {}),
        # No target looks for it.
        ("imaging/skip.py", {}),
        ("datasets/gone.md", {}),
        # It may have declared anything.
        ("imaging/BUILD", each("train")),
        # What it declared may be the folder's above now.
        ("models/gone/BUILD", each("train")),
    ],
)
def test_deleted_file_counts_for_what_looked_for_it(graph, path, wanted):
    assert plan(graph, deleted=[path]) == wanted


def test_model_that_is_gone_asks_nothing_of_the_others(graph):
    """A renamed one neither: the new folder's files are told as new."""
    folder = [f"models/gone/{file}" for file in ("BUILD", "model.toml", "limits.toml", "card.md", "network.py")]
    assert plan(graph, deleted=folder) == {}


def test_changed_submodule_counts_for_all_that_lies_in_it(graph):
    """Git tells it as one path: that of the submodule."""
    assert plan(graph, "models/own") == each("train", "own")
    assert plan(graph, "datasets/xrays/one") == each("retrain", "own")
    assert plan(graph, "datasets") == each("retrain", "a", "bee", "own")
    assert plan(graph, "data") == {}


def test_model_without_its_triggers_is_named(graph):
    new = Subject("new", "new", "models/new")
    with pytest.raises(UsageError, match=r"^models/new/BUILD lacks the line `model\(\)`, so no push .*; add it\.$"):
        selection.prepare(graph, [*SUBJECTS, new])


@pytest.mark.parametrize(
    ("glob", "path", "found"),
    [
        ("*.py", "a.py", True),
        ("*.py", "b/a.py", False),
        ("**/*.py", "a.py", True),
        ("**/*.py", "b/c/a.py", True),
        ("b/**/*", "b/c/a.py", True),
        ("b/**/*", "c/a.py", False),
        ("a.py", "aXpy", False),
    ],
)
def test_globs_match_as_pants_does(glob, path, found):
    assert target("d:t", globs=[glob]).looks_for(f"d/{path}") is found


def test_changed_build_file_touches_what_it_declares(graph):
    assert plan(graph, "imaging/BUILD") == each("train")
    assert plan(graph, "registry/BUILD") == {}


def test_pants_reads_a_build_file_with_a_suffix_too(graph):
    assert plan(graph, "imaging/BUILD.more") == each("train")
    assert plan(graph, "imaging/BUILDING") == {}


@pytest.mark.parametrize("path", ["pants.toml", "pants", "3rdparty/python/pants.lock", "3rdparty/python/pex.lock"])
def test_what_can_change_any_target_plans_everything(graph, path):
    assert plan(graph, path) == each("train")
    assert path in reason(graph, "a", path)
    assert checks(graph, path)["test"] == ["tests/test_store.py:tests"]


def test_macros_can_change_any_target(graph, tmp_path):
    (tmp_path / "pants.toml").write_text('[GLOBAL]\nbuild_file_prelude_globs = ["models/*.prelude"]\n')
    preludes = selection.preludes_of(tmp_path)
    found = Changes("base", "", ("models/model.prelude",))
    assert affected(graph, found, preludes)["test"] == ["tests/test_store.py:tests"]
    assert of_models(graph, found, SUBJECTS, preludes=preludes)["a"].reason == (
        "models/model.prelude can change any target; so everything is planned"
    )


def test_untrusted_base_plans_everything_and_says_why(graph):
    found = Changes(None, "revision 'x' is unknown here")
    asked = of_models(graph, found, SUBJECTS)
    assert {one.pipeline for one in asked.values()} == {"train"}
    assert asked["a"].reason == "revision 'x' is unknown here; so everything is planned"
    assert affected(graph, found)["build"] == ["training:train"]


def test_reason_is_the_path_from_the_file_to_the_trigger(graph):
    assert reason(graph, "a", "imaging/decode.py") == (
        "imaging/decode.py changed -> imaging/decode.py:lib -> training/loop.py:lib -> training:lib -> models/a:train "
        "-> trigger:train"
    )
    assert reason(graph, "a", "datasets/a.toml") == ("datasets/a.toml changed -> models/a:retrain -> trigger:retrain")


def test_affected_targets_are_sorted_by_what_is_done_with_them(graph):
    assert checks(graph, "imaging/decode.py") == {"build": ["training:train"], "image": ["serving:image"], "test": []}
    assert checks(graph, "registry/store.py") == {
        "build": ["training:train"],
        "image": [],
        "test": ["tests/test_store.py:tests"],
    }


@pytest.mark.parametrize(
    ("address", "sources", "folder"),
    [
        ("src/imaging/decode.py:lib", ["src/imaging/decode.py"], "src/imaging"),
        ("src/testing/suites/a.py:../model-tests", ["src/testing/suites/a.py"], "src/testing"),
        ("src/cli/app.py:lib@resolve=ml", ["src/cli/app.py"], "src/cli"),
        ("src/proto:py", [], "src/proto"),
        ("3rdparty/python:ml#keras", [], "3rdparty/python"),
        ("//:quickstart", [], ""),
    ],
)
def test_folder_is_where_the_build_file_stands(address, sources, folder):
    assert target(address, sources=sources).folder == folder
