"""A push decides by the real build graph: a copy of this repository gets commits, and is asked what they ask for."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from cli import Exit
from pipeline import pants

ROOT = Path(__file__).parents[2]


# In the places of what takes long, for who sets CALLED, and notes the call there. The plan is the real one, of the real
# build graph.
STAND_IN = """#!/usr/bin/env bash
real=$(dirname "$0")/pants.real
if [[ -z ${CALLED:-} ]]; then exec "$real" "$@"; fi
if [[ $1 == run && $2 == src/python/pipeline ]]; then shift 3; exec "$PYTHON" -m pipeline "$@"; fi
case $1 in test | run | export-codegen) echo "$*" >>"$CALLED" ;; *) exec "$real" "$@" ;; esac
"""
LOCK = "#!/usr/bin/env bash\necho '# Locked.' >>3rdparty/python/$1.lock\n"


@pytest.fixture(scope="module")
def repository(copy):
    """Tests that come one after the other leave trees that are alike, for a plan of which Pants need not be asked."""
    copy.begin()
    (copy.root / "pants").rename(copy.root / "pants.real")
    for name, text in (("pants", STAND_IN), ("scripts/lock", LOCK)):
        (copy.root / name).write_text(text)
        (copy.root / name).chmod(0o755)
    copy.commit("stand-ins")
    return copy


def ask(repository, revision, folder=None, *more):
    return repository.module("pipeline", "plan", "--since", revision, "--json", *more, folder=folder)


def planned(repository, revision, folder=None, *more):
    result = ask(repository, revision, folder, *more)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def affected_by_pants(repository, commit):
    """The tests that Pants itself finds affected by a commit of changes that are still there."""
    options = [f"--changed-diffspec={commit}", "--changed-dependents=transitive", "--filter-target-type=python_test"]
    result = pants.run_pants(repository.root, *options, "list")
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def script(repository, name, *flags):
    """A script of the copy, which asks the very daemon of Pants that plans have started."""
    environment = pants.nested_environment()
    if name == "layers":
        # As a developer's own call has it: what it demands of the layers, it says itself.
        del environment["TRAINYARD_LAYERS"]
    command = [str(repository.root / "scripts" / name), *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_what_decides_the_weights_of_a_run_is_model_code():
    """An interrupted run is resumed by the code it began with alone, which is what a push trains anew for."""
    from training.family import Family
    from training.run.identity import sources

    training = ROOT / "src" / "python" / "training"
    build = ast.parse((training / "BUILD").read_text()).body
    (commands,) = [ast.literal_eval(part.value) for part in build if isinstance(part, ast.Assign)]
    # A docstring decides no weights.
    shared = {file.name for file in training.glob("*.py")} - {*commands, "__init__.py"}
    families = {f"networks/{file.name}" for file in (training / "networks").glob("*.py")}
    # The search chooses between networks.
    expected = shared | families | {"run/search.py", "run/suggestions.py"}
    assert {path.as_posix().split("/training/")[-1] for path in sources(Family.named("residual"))} == expected


CHEST, DIGITS = "chest-xray", "digits"
LOOP = "src/python/training/loop.py"
SUITE = "src/python/testing/suites/test_golden.py"


def each(pipeline):
    return {CHEST: pipeline, DIGITS: pipeline}


# One of a kind, from a commit to its plan; test_selection.py has every kind, in every way of changing.
CASES = {
    "model code": ([LOOP], each("train")),
    "the same pixels as arrays": (["src/python/imaging/array.py"], each("train")),
    "a model's network": (["models/digits/network.py"], {DIGITS: "train"}),
    "dataset pointer": (["datasets/sample.toml"], {CHEST: "retrain"}),
    "model test": ([SUITE], each("test")),
    "a model's limits: a comment": (["models/digits/limits.toml"], {}),
    "what a model is made from: a comment": (["models/digits/model.toml"], {}),
    "the settings: a comment": (["trainyard.toml"], {}),
    "the layers": (["src/python/BUILD"], {}),
    "adapter": (["serving/adapter/service.py"], {}),
    "the lock of ml": (["3rdparty/python/ml.lock"], each("train")),
    "protos": (["src/proto/trainyard/v1/classifier.proto"], {}),
    "all three": ([SUITE, "datasets/sample.toml", "models/digits/network.py"], {CHEST: "retrain", DIGITS: "train"}),
}

# One file of a kind, as Pants takes seconds to say it: code, another file, a BUILD file, a lock, what is generated.
AS_PANTS_SAYS = ("model code", "dataset pointer", "the layers", "the lock of ml", "protos")


def asked(plan):
    return {model["name"]: model["pipeline"] for model in plan["models"] if model["pipeline"]}


@pytest.fixture(scope="module")
def pushed(repository):
    """Case -> the commit that lacks its change alone, the change's own, and what a plan since the one said. All have
    come by then: of one tree Pants is asked once."""
    own = {}
    for case, (paths, _) in CASES.items():
        for path in paths:
            repository.append(path, changed(path))
        own[case] = repository.commit(case)

    def without(paths):
        for path in paths:
            file = repository.root / path
            file.write_text(file.read_text().removesuffix(changed(path)))

    bases = {case: repository.aside(partial(without, paths)) for case, (paths, _) in CASES.items()}
    return {case: (bases[case], own[case], ask(repository, bases[case])) for case in CASES}


def changed(path):
    return f"{'//' if path.endswith('.proto') else '#'} changed\n"


@pytest.mark.timeout(600)  # the first has Pants' start and all cases' plans in it
@pytest.mark.parametrize("case", CASES)
def test_commit_plans_its_pipelines(repository, pushed, case):
    paths, pipelines = CASES[case]
    base, commit, said = pushed[case]
    assert said.returncode == 0, said.stderr
    plan = json.loads(said.stdout.splitlines()[-1])
    assert asked(plan) == pipelines
    assert plan["pipeline"] == min(pipelines.values(), key=("train", "retrain", "test").index, default=None)
    assert plan["base"] == base
    assert plan["changed"] == sorted(paths)
    for model in plan["models"]:
        if model["pipeline"]:
            assert any(path in model["reason"] for path in paths)
            assert f"trigger:{model['pipeline']}" in model["reason"] or "everything" in model["reason"]
    # Where nothing is deleted, our reading of the graph is Pants' own.
    if case in AS_PANTS_SAYS:
        assert plan["affected"]["test"] == affected_by_pants(repository, commit)


def test_the_program_that_checks_networks_stays_the_same_when_one_changes(pushed):
    """Else `models check` would wait until Pants has packed and laid out TensorFlow anew."""
    _, _, said = pushed["a model's network"]
    packages = json.loads(said.stdout.splitlines()[-1])["affected"]["build"]
    assert "src/python/training:train" in packages
    assert "src/python/models:models" not in packages


def test_import_against_the_layers_is_named_by_the_plan_and_by_lint(repository):
    base = repository.git("rev-parse", "HEAD")
    repository.append("src/python/registry/clock.py", "\n\ndef later() -> None:\n    import notify.links\n")
    repository.commit("an import that goes up")
    plan = ask(repository, base)
    lint = script(repository, "architecture", "--check")  # how scripts/lint asks for the layers
    repository.git("reset", "-q", "--hard", base)
    sentence = "src/python/registry/clock.py imports src/python/notify/links.py, against the layers in src/python/BUILD"
    for result in (plan, lint):
        assert result.returncode == Exit.USAGE, result.stderr
        assert sentence in result.stderr


def test_picture_of_the_architecture_is_of_the_build_graph_that_there_is(repository):
    """That ours fits is what scripts/lint asks."""
    base = repository.git("rev-parse", "HEAD")
    picture = repository.root / "docs/pictures/architecture.svg"
    kept = picture.read_text()
    repository.append("src/python/pages/__init__.py", "\nimport contracts as _contracts  # noqa: F401\n")
    stale = script(repository, "architecture", "--check")
    anew = script(repository, "architecture")
    other = picture.read_text()
    repository.git("reset", "-q", "--hard", base)
    assert stale.returncode == 1 and "scripts/architecture draws it anew" in stale.stderr
    assert anew.returncode == 0 and other != kept


VALUES = {
    "a gate that one model overrides": ("trainyard.toml", "min_accuracy = 0.85", "min_accuracy = 0.8", {CHEST: "test"}),
    "a limit of all": ("trainyard.toml", "max_p95_ms = 1000", "max_p95_ms = 900", each("test")),
    "the dataset of those without one": ("trainyard.toml", "datasets/sample.toml", "sample", {CHEST: "retrain"}),
    "the owner": ("trainyard.toml", "owner@example.com", "other@example.com", {}),
    "a model's gate": ("models/digits/limits.toml", "min_accuracy = 0.", "min_accuracy = 0.0", {DIGITS: "test"}),
    "a model's dataset": ("models/digits/model.toml", "datasets/digits.toml", "digits", {DIGITS: "retrain"}),
    "a model's input": ("models/digits/model.toml", "size = ", "size = 1", {DIGITS: "train"}),
}


@pytest.mark.parametrize("case", VALUES)
def test_value_of_a_setting_asks_those_that_take_it(repository, case):
    path, old, new, pipelines = VALUES[case]
    base = repository.git("rev-parse", "HEAD")
    text = (repository.root / path).read_text()
    assert old in text
    (repository.root / path).write_text(text.replace(old, new))
    repository.commit(case)
    plan = planned(repository, base)
    repository.git("reset", "-q", "--hard", base)
    assert asked(plan) == pipelines
    assert all(model["reason"].startswith(f"{path} changed (") for model in plan["models"] if model["pipeline"])


def test_affected_targets_are_those_that_need_the_change(repository):
    base = repository.git("rev-parse", "HEAD")
    repository.append("src/python/registry/registry.py", "# changed\n")
    repository.commit("registry")
    affected = planned(repository, base)["affected"]
    assert "src/python/promote:promote" in affected["build"]
    assert "serving/adapter:adapter" not in affected["build"]
    assert any("tests/unit/registry" in address for address in affected["test"])
    assert not any("tests/unit/imaging" in address for address in affected["test"])


def test_network_of_a_model_is_in_images_that_train_and_in_none_that_serve(repository):
    base = repository.git("rev-parse", "HEAD")
    repository.append("models/digits/network.py", "# changed\n")
    repository.commit("a network")
    images = planned(repository, base)["affected"]["image"]
    assert any(address.endswith(":train") for address in images), images
    assert not [address for address in images if "adapter" in address or "model_server" in address]


def test_first_build_plans_everything(repository):
    plan = planned(repository, "")
    assert (plan["pipeline"], plan["base"]) == ("train", None)
    assert "first build" in plan["reason"]


def test_model_code_that_is_pushed_away_still_trains(repository):
    """A force-push takes it back: what the last green build made is of code that is gone."""
    repository.append("models/digits/network.py", "# pushed away\n")
    green = repository.commit("pushed away")
    repository.git("reset", "-q", "--hard", "HEAD~1")
    plan = planned(repository, green)
    assert (asked(plan), plan["base"]) == ({DIGITS: "train"}, green)


def test_merged_branch_counts_from_the_last_green_commit_of_main(repository):
    base = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-qb", "topic")
    repository.append("datasets/sample.toml", "# changed once more\n")
    repository.commit("data")
    repository.git("checkout", "-q", "main")
    repository.append("serving/adapter/service.py", "# changed\n")
    repository.commit("adapter")
    repository.git("merge", "-q", "--no-ff", "-m", "merged", "topic")
    plan = planned(repository, base)
    assert plan["pipeline"] == "retrain"
    assert plan["changed"] == ["datasets/sample.toml", "serving/adapter/service.py"]


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
    # Its tree is the copy's, and so is its build graph: Pants need not start for it.
    assert planned(repository, base)["changed"] == ["README.md"]
    shutil.copytree(repository.root / ".pants.d/trainyard", clone / ".pants.d/trainyard")
    assert ask(repository, base, clone).returncode == (Exit.OK if os.environ.get("CI") else Exit.USAGE)
    plan = planned(repository, base, clone, "--or-everything")
    assert plan["pipeline"] == "train"
    assert plan["base"] is None
    assert "shallow" in plan["reason"]
    shutil.rmtree(clone)


def test_contributings_walk_is_what_happens(repository, tmp_path):
    """Its block is carried out as it stands; what a plan is said to answer stands behind it."""
    text = next(root for root in (Path.cwd(), ROOT) if (root / "CONTRIBUTING.md").is_file()) / "CONTRIBUTING.md"
    (block,) = re.findall(r"## A walk through it.*?```sh\n(.*?)```", text.read_text("utf-8"), re.DOTALL)
    root, called = repository.root, tmp_path / "called"
    branches = repository.git("branch", "--format=%(refname:short)")
    identity = {f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = os.pathsep.join(part for part in sys.path if part)
    known = {"PYTHON": sys.executable, "PYTHONPATH": path, "CALLED": str(called), **identity}
    try:
        # Up to each plan, with what it answers.
        *steps, rest = re.split(r"(?<=--since HEAD~1)  # (.+)\n", block)
        assert len(steps) == 6
        for script, answer in [*zip(steps[::2], steps[1::2], strict=True), (rest, "")]:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=root,
                env={**os.environ, **known},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            assert re.search(f"^{re.escape(answer)}", done.stdout, re.MULTILINE), (answer, done.stdout)
        calls = called.read_text().splitlines()
        assert [call.split()[0] for call in calls] == ["test", "run", "export-codegen", "test"]
        for call in calls:
            assert (root / call.split()[1].split(":")[0]).exists(), call
        assert repository.git("branch", "--format=%(refname:short)") == branches
        assert repository.git("status", "--porcelain") == ""
    finally:
        repository.git("switch", "-qf", "main")


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("models/digits/BUILD", "", "models/digits/BUILD lacks the line `model()`"),
        ("models/digits/model.toml", "task = ", "models/digits/model.toml is not valid TOML"),
        ("models/a-b/model.toml", 'task = "one label"\nfamily = "residual"\n', "are both called 'a-b'"),
        ("src/python/registry/BUILD", "python_sources(", "SyntaxError"),
        ("src/python/registry/clock.py", "import nobody_owns_this\n", "nobody_owns_this"),
        ("3rdparty/python/adapter.lock", None, "3rdparty/python/adapter.lock"),
    ],
)
def test_tree_that_cannot_be_planned_is_a_mistake_told_in_one_sentence(repository, path, text, told):
    base = repository.git("rev-parse", "HEAD")
    files = [path, "models/a_b/model.toml"] if "a-b" in path else [path]
    for file in files:
        (repository.root / file).parent.mkdir(exist_ok=True)
        if text is None:
            (repository.root / file).unlink()
        else:
            (repository.root / file).write_text(text)
    repository.commit("broken")
    result = ask(repository, base)
    repository.git("reset", "-q", "--hard", base)
    assert result.returncode == Exit.USAGE, result.stderr
    assert told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


BLOCKS = "models/digits/blocks.py", "models/third/blocks.py", "src/python/training/networks/parts.py"


@pytest.fixture(scope="module")
def grown(repository):
    """A tree in which files have come and gone, so that Pants is asked once for all of that: two models' networks
    import what lies beside them, one of the models is new, a model test is gone, and images are under DVC. What each of
    it asks for is planned since a commit that lacks it alone."""
    root = repository.root
    shutil.copytree(root / "models/digits", root / "models/third")
    shutil.copy(root / "datasets/digits.toml", root / "datasets/third.toml")
    for path in BLOCKS:
        (root / path).write_text("SIZE = 3\n")
    (root / BLOCKS[0]).write_text("from training.networks.parts import SIZE as SIZE\n")
    for name in ("digits", "third"):
        network = root / "models" / name / "network.py"
        network.write_text(f"from .blocks import SIZE\n{network.read_text()}")
    (root / SUITE).unlink()
    (root / "datasets/xrays.dvc").write_text(pointer("0"))
    (root / "datasets/xrays.md").touch()
    repository.commit("files come and go")
    return repository


def pointer(digest):
    """What `dvc add` leaves in Git."""
    return f"outs:\n- md5: {digest * 32}.dir\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: xrays\n"


def test_what_a_network_imports_beside_it_is_in_images_and_asks_for_that_model_alone(grown):
    """Two models may call theirs alike, and what it imports itself counts too."""
    for path, model in zip(BLOCKS, (DIGITS, "third", DIGITS), strict=True):
        base = grown.git("rev-parse", "HEAD")
        grown.append(path, "# changed\n")
        grown.commit(path)
        plan = planned(grown, base)
        assert asked(plan) == {model: "train"}, path
        assert any(address.endswith(":train") for address in plan["affected"]["image"]), path


def test_new_images_are_a_change_of_the_pointer_and_retrain(grown):
    """The card beside it tells of nothing new."""
    settings = grown.root / "trainyard.toml"

    def planned_after(path, text):
        base = grown.git("rev-parse", "HEAD")
        (grown.root / path).write_text(text)
        grown.commit(path)
        return planned(grown, base)

    assert asked(planned_after("datasets/xrays.dvc", pointer("1"))) == {}, "no model uses it yet"
    settings.write_text(
        re.sub(r'uri = "(datasets/)?sample(.toml)?"', 'uri = "datasets/xrays.dvc"', settings.read_text())
    )
    grown.commit("takes them")
    plan = planned_after("datasets/xrays.dvc", pointer("2"))
    assert asked(plan) == {CHEST: "retrain"}
    assert "datasets/xrays.dvc" in plan["reason"]
    assert asked(planned_after("datasets/xrays.md", "A card.\n")) == {}


def test_file_that_is_gone_counts(grown):
    base = grown.aside(lambda: (grown.root / SUITE).write_text("def test_more(classify): ...\n"))
    plan = planned(grown, base)
    assert plan["pipeline"] == "test"
    assert plan["changed"] == [SUITE]
    assert SUITE in plan["reason"]


def test_model_that_is_added_renamed_and_removed_asks_for_itself_alone(grown):
    """What is above its folder, the macro, is every model's; the folder's own files are not."""
    models, datasets = grown.root / "models", grown.root / "datasets"

    def not_yet():
        shutil.rmtree(models / "third")
        (datasets / "third.toml").unlink()

    added = grown.aside(not_yet)
    plan = planned(grown, added)
    assert asked(plan) == {"third": "train"}
    # Nothing of the repository as a whole, of the cluster, the site or the other models.
    assert plan["affected"]["test"]
    assert all(re.match("tests/(unit|integration)/models/", address) for address in plan["affected"]["test"])
    assert planned(grown, added, None, "--model", "digits")["pipeline"] is None
    another_name = grown.aside(lambda: (models / "third").rename(models / "other"))
    assert asked(planned(grown, another_name)) == {"third": "train"}

    def one_more():
        shutil.copytree(models / "digits", models / "gone")
        shutil.copy(datasets / "digits.toml", datasets / "gone.toml")

    plan = planned(grown, grown.aside(one_more))
    assert "models/gone/BUILD" in plan["changed"]
    assert asked(plan) == {}
    # Packages hold the models' files; their tests have to run.
    assert "tests/integration/models/test_networks.py:../models" in plan["affected"]["test"]
