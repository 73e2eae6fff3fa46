"""A push decides by the real build graph: a copy of this repository gets commits, and is asked what they ask for."""

import ast
import json
import re
import shutil
from pathlib import Path

import pytest

from cli import Exit
from pipeline import graph
from tests.repository import Repository

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    copy = Repository(tmp_path_factory.mktemp("copy") / "repository")
    yield copy
    copy.close()


def asked(repository, revision, folder=None):
    return repository.module("pipeline", "plan", "--since", revision, "--json", folder=folder)


def planned(repository, revision, folder=None):
    result = asked(repository, revision, folder)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def affected_by_pants(repository, revision):
    """The tests that Pants itself finds affected since `revision`."""
    options = [f"--changed-since={revision}", "--changed-dependents=transitive", "--filter-target-type=python_test"]
    result = graph.run_pants(repository.root, *options, "list")
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_what_decides_the_weights_of_a_run_is_model_code():
    """An interrupted run is resumed by the code it began with alone, which is what a push trains anew for."""
    from training.family import Family
    from training.run.identity import sources

    training = ROOT / "src" / "python" / "training"
    build = ast.parse((training / "BUILD").read_text()).body
    (commands,) = [ast.literal_eval(part.value) for part in build if isinstance(part, ast.Assign)]
    shared = {file.name for file in training.glob("*.py")} - set(commands)
    families = {f"networks/{file.name}" for file in (training / "networks").glob("*.py")}
    # The search chooses between networks.
    expected = shared | families | {"run/search.py", "run/suggestions.py"}
    assert {path.as_posix().split("/training/")[-1] for path in sources(Family.named("residual"))} == expected


CASES = {
    "model code": (["src/python/training/model.py"], "train"),
    "code that makes the model's pixels": (["src/python/imaging/decode.py"], "train"),
    "the same pixels as arrays": (["src/python/imaging/array.py"], "train"),
    "dataset pointer": (["datasets/sample.toml"], "retrain"),
    "model test": (["src/python/testing/suites/test_golden.py"], "test"),
    "registry": (["src/python/registry/registry.py"], None),
    "adapter": (["serving/adapter/service.py"], None),
    "the lock of ml": (["3rdparty/python/ml.lock"], "train"),
    "the adapter's lock": (["3rdparty/python/adapter.lock"], None),
    "the lock of tools": (["3rdparty/python/tools.lock"], None),
    "the lock of dockerfile": (["3rdparty/python/dockerfile.lock"], None),
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
    # Where nothing is deleted, our reading of the graph is Pants' own.
    assert plan["affected"]["test"] == affected_by_pants(repository, base)


def test_new_images_are_a_change_of_the_pointer_and_retrain(repository):
    """What `dvc add` leaves in Git when images come; the card beside it tells of nothing new."""
    pointer, card = (repository.root / "datasets" / name for name in ("xrays.dvc", "xrays.md"))
    for digest in ("0" * 32, "1" * 32):
        base = repository.git("rev-parse", "HEAD")
        pointer.write_text(f"outs:\n- md5: {digest}.dir\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: xrays\n")
        repository.commit("images")
        plan = planned(repository, base)
        assert plan["pipeline"] == "retrain"
        assert "datasets/xrays.dvc" in plan["reason"]
    base = repository.git("rev-parse", "HEAD")
    card.write_text("A card.\n")
    repository.commit("card")
    assert planned(repository, base)["pipeline"] is None


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


def test_first_build_plans_everything(repository):
    plan = planned(repository, "")
    assert (plan["pipeline"], plan["base"]) == ("train", None)
    assert "first build" in plan["reason"]


def test_base_that_was_pushed_away_plans_everything(repository):
    repository.append("src/python/registry/registry.py", "# pushed away\n")
    base = repository.commit("pushed away")
    repository.git("reset", "-q", "--hard", "HEAD~1")
    plan = planned(repository, base)
    assert (plan["pipeline"], plan["base"]) == ("train", None)
    assert "not an ancestor" in plan["reason"]


def test_merged_branch_counts_from_the_last_green_commit_of_main(repository):
    base = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-qb", "topic")
    repository.append("datasets/sample.toml", "# changed\n")
    repository.commit("data")
    repository.git("checkout", "-q", "main")
    repository.append("serving/adapter/service.py", "# changed\n")
    repository.commit("adapter")
    repository.git("merge", "-q", "--no-ff", "-m", "merged", "topic")
    plan = planned(repository, base)
    assert plan["pipeline"] == "retrain"
    assert plan["changed"] == ["datasets/sample.toml", "serving/adapter/service.py"]


def test_missing_lock_is_refused_and_named(repository):
    base = repository.git("rev-parse", "HEAD")
    repository.git("rm", "-q", "3rdparty/python/adapter.lock")
    repository.commit("no lock")
    result = asked(repository, base)
    repository.git("reset", "-q", "--hard", base)
    assert result.returncode == Exit.INFRASTRUCTURE
    assert "3rdparty/python/adapter.lock" in result.stderr
    assert "Traceback" not in result.stderr


def test_no_build_file_uses_what_a_plan_does_not_follow():
    """Defaults for the folders below, and globs of other signs than `*`: `pipeline.graph` reads neither."""
    files = [path for path in ROOT.rglob("BUILD*") if path.is_file() and ".pants.d" not in path.parts]
    assert len(files) > 20
    assert [path for path in files if "__defaults__" in path.read_text()] == []
    globs = [glob for path in files for glob in re.findall(r"sources?=\[?(.*?)\]?,?\n", path.read_text())]
    assert [glob for glob in globs if re.search(r'"[^"]*[?{][^"]*"', glob)] == []


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
