"""Decisions on a small graph made by hand; tests/e2e holds them against the real one."""

import pytest

from pipeline.changes import Changes
from pipeline.graph import Graph, Target
from pipeline.plan import decide


def target(address, kind="python_source", tags=(), sources=(), needs=(), globs=()):
    return Target(address, kind, frozenset(tags), frozenset(sources), frozenset(needs), tuple(globs))


def listing(folder, globs, files, tags=(), needs=()):
    """A target that lists files, and one for each of them, as Pants shows them."""
    each = [target(f"{folder}/{f}:lib", tags=tags, sources=[f"{folder}/{f}"], needs=needs) for f in files]
    paths = [f"{folder}/{f}" for f in files]
    return [target(f"{folder}:lib", "python_sources", tags, paths, [t.address for t in each], globs), *each]


@pytest.fixture
def graph():
    targets = [
        *listing("imaging", ["*.py", "!skip.py"], ["decode.py", "other.py"]),
        *listing("training", ["*.py"], ["model.py"], ["trigger:train"], ["imaging/decode.py:lib"]),
        *listing("registry", ["*.py"], ["store.py"]),
        *listing("testing", ["suites/*.py"], ["suites/a.py"], ["trigger:test"]),
        *listing("datasets", ["*.toml"], ["a.toml"], ["trigger:retrain"]),
        target("lock:_lock", "_lockfile", sources=["lock"]),
        target("3rdparty:tensorflow", needs=["lock:_lock"]),
        target("training:train", "pex_binary", needs=["training/model.py:lib", "registry/store.py:lib"]),
        target("benchmarks:training", "pex_binary", tags=["only-run"], needs=["training/model.py:lib"]),
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
        ("testing/suites/a.py", "test"),
        ("registry/store.py", None),
        ("tests/test_store.py", None),
        ("README.md", None),
    ],
)
def test_one_file(graph, path, pipeline):
    assert plan(graph, path).pipeline == pipeline


def test_stronger_pipeline_supersedes(graph):
    assert plan(graph, "testing/suites/a.py", "datasets/a.toml").pipeline == "retrain"
    assert plan(graph, "testing/suites/a.py", "datasets/a.toml", "training/model.py").pipeline == "train"


@pytest.mark.parametrize(
    ("path", "pipeline"),
    [
        ("imaging/gone.py", "train"),
        ("registry/gone.py", None),
        ("datasets/gone.toml", "retrain"),
        ("testing/suites/gone.py", "test"),
        ("README.md", None),
        # No target looks for it.
        ("imaging/skip.py", None),
        ("datasets/gone.md", None),
        # It may have declared anything.
        ("imaging/BUILD", "train"),
        ("datasets/cards/BUILD", "retrain"),
    ],
)
def test_deleted_file_counts_for_what_looked_for_it(graph, path, pipeline):
    assert plan(graph, deleted=[path]).pipeline == pipeline


@pytest.mark.parametrize(
    ("folder", "globs", "path", "pipeline"),
    [
        ("datasets", ["*.toml"], "datasets/a.toml", "retrain"),
        ("testing", ["suites/*.py"], "testing/suites/a.py", "test"),
    ],
)
def test_last_file_of_a_trigger_counts_when_deleted(folder, globs, path, pipeline):
    emptied = Graph({f"{folder}:t": target(f"{folder}:t", "resources", [f"trigger:{pipeline}"], globs=globs)})
    assert plan(emptied, deleted=[path]).pipeline == pipeline


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
    assert plan(graph, "imaging/BUILD").pipeline == "train"
    assert plan(graph, "registry/BUILD").pipeline is None


def test_pants_reads_a_build_file_with_a_suffix_too(graph):
    assert plan(graph, "imaging/BUILD.more").pipeline == "train"
    assert plan(graph, "imaging/BUILDING").pipeline is None


@pytest.mark.parametrize("path", ["pants.toml", "pants", "3rdparty/python/pants.lock", "3rdparty/python/pex.lock"])
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
