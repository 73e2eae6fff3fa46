"""Decisions on a small graph made by hand; tests/e2e holds them against the real one."""

import pytest

from pipeline.changes import Changes
from pipeline.graph import Graph, Target
from pipeline.plan import decide


def target(address, kind="python_source", tags=(), sources=(), needs=()):
    return Target(address, kind, frozenset(tags), frozenset(sources), frozenset(needs))


def source(path, needs=(), tags=()):
    folder, name = path.rsplit("/", 1)
    return target(f"{folder}/{name}:lib", tags=tags, sources=[path], needs=needs)


@pytest.fixture
def graph():
    targets = [
        source("imaging/decode.py"),
        source("imaging/other.py"),
        source("training/model.py", ["imaging/decode.py:lib"], ["trigger:train"]),
        source("registry/store.py"),
        source("testing/suite.py", tags=["trigger:test"]),
        target("datasets/a.toml:datasets", "resource", ["trigger:retrain"], ["datasets/a.toml"]),
        target("lock:_lock", "_lockfile", sources=["lock"]),
        target("3rdparty:tensorflow", needs=["lock:_lock"]),
        target("training:train", "pex_binary", needs=["training/model.py:lib", "registry/store.py:lib"]),
        target("serving:image", "docker_image", needs=["imaging/decode.py:lib"]),
        target(
            "tests/test_store.py:tests", "python_test", sources=["tests/test_store.py"], needs=["registry/store.py:lib"]
        ),
    ]
    return Graph({t.address: t for t in targets})


def plan(graph, *present, deleted=()):
    return decide(graph, Changes("base", "", tuple(present), tuple(deleted)))


@pytest.mark.parametrize(
    ("path", "pipeline"),
    [
        ("training/model.py", "train"),
        ("imaging/decode.py", "train"),
        ("datasets/a.toml", "retrain"),
        ("testing/suite.py", "test"),
        ("registry/store.py", None),
        ("tests/test_store.py", None),
        ("README.md", None),
    ],
)
def test_one_file(graph, path, pipeline):
    assert plan(graph, path).pipeline == pipeline


def test_stronger_pipeline_supersedes(graph):
    assert plan(graph, "testing/suite.py", "datasets/a.toml").pipeline == "retrain"
    assert plan(graph, "testing/suite.py", "datasets/a.toml", "training/model.py").pipeline == "train"


def test_deleted_file_counts_for_its_neighbours(graph):
    assert plan(graph, deleted=["imaging/gone.py"]).pipeline == "train"
    assert plan(graph, deleted=["registry/gone.py"]).pipeline is None
    assert plan(graph, deleted=["datasets/gone.toml"]).pipeline == "retrain"


def test_changed_build_file_touches_what_it_declares(graph):
    assert plan(graph, "imaging/BUILD").pipeline == "train"
    assert plan(graph, "registry/BUILD").pipeline is None


@pytest.mark.parametrize("path", ["pants.toml", "pants"])
def test_what_can_change_any_target_plans_everything(graph, path):
    made = plan(graph, path)
    assert made.pipeline == "train"
    assert path in made.reason
    assert made.affected["test"] == ["tests/test_store.py:tests"]


def test_untrusted_base_plans_everything_and_says_why(graph):
    made = decide(graph, Changes(None, "revision 'x' is unknown here"))
    assert made.pipeline == "train"
    assert "revision 'x' is unknown here" in made.reason
    assert made.affected["build"] == ["training:train"]


def test_reason_is_the_path_from_the_file_to_the_trigger(graph):
    assert plan(graph, "imaging/decode.py").reason == (
        "imaging/decode.py changed -> imaging/decode.py:lib -> training/model.py:lib -> trigger:train"
    )


def test_affected_targets_are_sorted_by_what_is_done_with_them(graph):
    assert plan(graph, "imaging/decode.py").affected == {
        "build": ["training:train"],
        "image": ["serving:image"],
        "test": [],
    }
    assert plan(graph, "registry/store.py").affected == {
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
