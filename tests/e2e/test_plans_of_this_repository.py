"""A push decides by the real build graph: a copy of this repository gets commits, and is asked what they ask for."""

import json
import shutil

import pytest

from tests.repository import Repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    copy = Repository(tmp_path_factory.mktemp("copy") / "repository")
    yield copy
    copy.close()


def planned(repository, revision, folder=None):
    result = repository.module("pipeline", "plan", "--since", revision, "--json", folder=folder)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


CASES = {
    "model code": (["src/python/training/model.py"], "train"),
    "code that makes the model's pixels": (["src/python/imaging/decode.py"], "train"),
    "the same pixels as arrays": (["src/python/imaging/array.py"], "train"),
    "dataset pointer": (["datasets/sample.toml"], "retrain"),
    "model test": (["src/python/testing/suites/test_golden.py"], "test"),
    "registry": (["src/python/registry/registry.py"], None),
    "adapter": (["serving/adapter/service.py"], None),
    "the adapter's lock": (["3rdparty/python/adapter.lock"], None),
    "protos": (["src/proto/trainyard/v1/classifier.proto"], None),
    "docs": (["README.md"], None),
    "test and dataset": (["src/python/testing/suites/test_golden.py", "datasets/sample.toml"], "retrain"),
    "all three": (
        ["src/python/testing/suites/test_golden.py", "datasets/sample.toml", "src/python/training/model.py"],
        "train",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_commit_plans_its_pipeline(repository, case):
    paths, pipeline = CASES[case]
    base = repository.git("rev-parse", "HEAD")
    for path in paths:
        comment = "// changed\n" if path.endswith(".proto") else "# changed\n"
        repository.append(path, comment)
    repository.commit(case)
    plan = planned(repository, base)
    assert plan["pipeline"] == pipeline, plan["reason"]
    assert plan["base"] == base
    assert plan["changed"] == sorted(paths)
    if pipeline:
        assert any(path in plan["reason"] for path in paths)
        assert f"trigger:{pipeline}" in plan["reason"]


def test_affected_targets_are_those_that_need_the_change(repository):
    base = repository.git("rev-parse", "HEAD")
    repository.append("src/python/registry/registry.py", "# changed\n")
    repository.commit("registry")
    affected = planned(repository, base)["affected"]
    assert "src/python/promote:promote" in affected["build"]
    assert "serving/adapter:adapter" not in affected["build"]
    assert any("tests/unit/registry" in address for address in affected["test"])
    assert not any("tests/unit/imaging" in address for address in affected["test"])


def test_renamed_and_deleted_files_count(repository):
    base = repository.git("rev-parse", "HEAD")
    repository.git("mv", "src/python/testing/suites/test_golden.py", "src/python/testing/suites/test_recorded.py")
    repository.commit("renamed")
    assert planned(repository, base)["pipeline"] == "test"
    base = repository.git("rev-parse", "HEAD")
    (repository.root / "src/python/testing/suites/test_recorded.py").unlink()
    repository.commit("deleted")
    plan = planned(repository, base)
    assert plan["pipeline"] == "test"
    assert "test_recorded.py" in plan["reason"]


def test_base_cut_off_by_a_shallow_clone_plans_everything_and_says_why(repository, tmp_path):
    base = repository.git("rev-parse", "HEAD")
    (repository.root / "README.md").write_text("Changed.\n")
    repository.commit("docs")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth", "1", repository.root.as_uri(), str(clone))
    plan = planned(repository, base, clone)
    assert plan["pipeline"] == "train"
    assert plan["base"] is None
    assert "shallow" in plan["reason"]
    shutil.rmtree(clone)
