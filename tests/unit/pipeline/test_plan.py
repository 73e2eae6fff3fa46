"""Each model is planned since its own pipeline last ended well; Git is real, and so is the registry."""

import pytest

from cli import UsageError
from pipeline import plan
from pipeline.ledger import Ended, Ledger, UnderWay
from pipeline.plan import Question
from tests.small_repository import Yard


@pytest.fixture
def yard(tmp_path, monkeypatch):
    """Model `a` is trained by a.py, `b` by b.py."""
    yard = Yard(tmp_path)
    monkeypatch.setenv("SCENE", str(yard.scene))
    for variable in ("CI", "JENKINS_URL", "TRAINYARD_MODEL_NAME", "TRAINYARD_REGISTRY_URI"):
        monkeypatch.delenv(variable, raising=False)
    yard.models(a="a.py", b="b.py")
    (yard.root / "models/chest_xray/model.toml").unlink()
    (yard.root / "trainyard.toml").write_text('[model]\nname = "a"\n[registry]\nuri = "registry"\n')
    (yard.root / ".gitignore").write_text("/registry/\n")
    yard.commit()
    return yard


def ended(yard, name, commit, code=0, pipeline="train", **more):
    done = Ended(commit=commit, pipeline=pipeline, exit_code=code, run="k", **more)
    Ledger(str(yard.root / "registry"), name).end(done)


def make(yard, since="HEAD", heard=None, **question):
    return plan.make(yard.root, Question(since, **question), (heard if heard is not None else []).append)


def asked(made):
    return {model.name: model.pipeline for model in made.models if model.pipeline}


def test_models_that_were_never_carried_out_are_planned_since_the_revision(yard):
    base = yard.git("rev-parse", "HEAD")
    yard.commit(a="1")
    made = make(yard, base)
    assert (asked(made), made.base) == ({"a": "train"}, base)
    assert {model.base for model in made.models} == {base}


def test_each_model_has_a_base_of_its_own(yard):
    first = yard.commit(a="1", b="1")
    ended(yard, "a", first)
    second = yard.commit(a="2", b="2")
    ended(yard, "b", second)
    yard.commit(readme="Edited.")
    made = make(yard, second)
    assert asked(made) == {"a": "train"}
    assert {model.name: model.base for model in made.models} == {"a": first, "b": second}
    # The checks are of what changed since the revision.
    assert (made.base, made.changed) == (second, ["README.md"])


def test_base_on_another_branch_is_compared_tree_with_tree(yard):
    """What was made elsewhere, from other code, is not what this branch asks for."""
    yard.git("checkout", "-qb", "topic")
    there = yard.commit(a="on the branch")
    ended(yard, "a", there)
    yard.git("checkout", "-q", "main")
    made = make(yard)
    assert (asked(made), made.models[0].base) == ({"a": "train"}, there)


def test_base_that_is_unknown_here_is_everything_for_that_model_alone(yard):
    ended(yard, "a", "1" * 40)
    made = make(yard)
    assert asked(made) == {"a": "train"}
    assert made.models[0].reason == (
        "a was last carried out at 111111111111, which can't be compared with here; so everything is planned"
    )
    assert made.affected == {"build": [], "image": [], "test": []}


def test_registry_that_cannot_be_read_leaves_the_revision_and_says_so(yard):
    (yard.root / "registry/a/pipeline/state.json").mkdir(parents=True)
    heard = []
    assert asked(make(yard, heard=heard)) == {}
    assert len(heard) == 1
    assert heard[0].startswith("What became of a so far is not known, so it is planned since the revision given: ")


@pytest.mark.parametrize(
    ("code", "unrelated", "related", "again"),
    [
        (3, {}, "train", "train"),
        (4, {}, "train", "train"),
        (6, {"a": "train"}, "train", "train"),
        (2, {"a": "train"}, "train", "train"),
    ],
)
def test_failure_of_its_own_is_not_repeated_until_something_changes(yard, code, unrelated, related, again):
    base = yard.git("rev-parse", "HEAD")
    red = yard.commit(a="red")
    ended(yard, "a", red, code)
    yard.commit(readme="Edited.")
    assert asked(make(yard, base)) == unrelated
    assert asked(make(yard, base, again=True)) == {"a": again}
    # What failed is owed still, and so a change that asks for less brings it back.
    yard.commit(tests_of_a="changed")
    assert asked(make(yard, base)) == {"a": related}


def test_failure_that_is_taken_back_owes_nothing(yard):
    good = yard.git("rev-parse", "HEAD")
    ended(yard, "a", good)
    red = yard.commit(a="red")
    ended(yard, "a", red, 3)
    yard.git("revert", "--no-edit", "HEAD")
    assert asked(make(yard)) == {}


def test_what_is_under_way_is_begun_again_when_it_changes(yard):
    from datetime import UTC, datetime

    base = yard.git("rev-parse", "HEAD")
    head = yard.commit(a="1")
    way = UnderWay(commit=head, pipeline="train", run="k", host="elsewhere", pid=1, beat=datetime.now(UTC).isoformat())
    Ledger(str(yard.root / "registry"), "a")._change(lambda entry: entry.model_copy(update={"under_way": way}))
    yard.commit(readme="Edited.")
    assert asked(make(yard, base)) == {}
    yard.commit(a="2")
    assert asked(make(yard, base)) == {"a": "train"}


def test_version_that_was_made_and_not_tested_is_tested(yard):
    base = yard.git("rev-parse", "HEAD")
    ended(yard, "a", yard.commit(a="1"), 2, version=7)
    assert asked(make(yard, base)) == {"a": "test"}
    yard.commit(a="2")
    assert asked(make(yard, base)) == {"a": "train"}


@pytest.mark.parametrize(
    ("changed", "demand", "pipeline"),
    [(False, "test", "test"), (False, "retrain", "retrain"), (True, "test", "train"), (True, "train", "train")],
)
def test_demand_and_plan_come_to_the_stronger(yard, changed, demand, pipeline):
    if changed:
        yard.commit(b="1")
    made = make(yard, "HEAD~1" if changed else "HEAD", demand=demand, why="drift of 0.3", model="b")
    assert (asked(made), made.pipeline) == ({"b": pipeline}, pipeline)
    assert (made.reason == f"{demand} was asked for: drift of 0.3") is not changed


def test_unknown_model_and_pipeline_are_refused_by_name(yard):
    with pytest.raises(UsageError, match=r"There is no model 'c'; those there are: a, b\."):
        make(yard, model="c")
    with pytest.raises(UsageError, match=r"Pipeline 'deploy' is not known; ask for one of train, retrain, test\."):
        make(yard, demand="deploy")


def test_nothing_is_asked_of_pants_where_nothing_changed(yard):
    assert make(yard).reason == "nothing that it depends on has changed since HEAD"
    assert yard.peeked() == 0
