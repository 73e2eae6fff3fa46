"""A plan as steps, and a pipeline that is asked for whatever changed."""

from pathlib import Path

import pytest

from cli import UsageError
from pipeline import stages
from pipeline.demand import demanded
from pipeline.plan import Plan

ALL = {"build": ["a:b"], "image": [], "test": ["t:t"]}
NONE: dict[str, list[str]] = {"build": [], "image": [], "test": []}
UNCHANGED = Plan(None, "nothing changed", "abc", [], NONE)


@pytest.mark.parametrize(
    ("made", "steps"),
    [
        (UNCHANGED, []),
        (Plan(None, "", "abc", ["README.md"], NONE), ["lint"]),
        (Plan(None, "", "abc", ["x.py"], {**NONE, "test": ["t:t"]}), ["lint", "unit-tests"]),
        (Plan("test", "", "abc", ["x.py"], ALL), ["lint", "unit-tests", "package", "test", "notify"]),
        (Plan("train", "", None, [], ALL), ["lint", "unit-tests", "package", "train", "test", "notify"]),
        (Plan("retrain", "asked for", "abc", [], NONE), ["retrain", "test", "notify"]),
    ],
)
def test_steps_are_what_the_plan_asks_for(made, steps):
    assert stages.names(Path("/repository"), made) == steps
    assert set(steps) <= set(stages.NAMES)


def test_unknown_step_is_refused_by_name():
    stages.known("notify")
    stages.known(None)
    with pytest.raises(UsageError, match="'deploy' is not known"):
        stages.known("deploy")


@pytest.mark.parametrize(
    ("planned", "asked", "pipeline"),
    [
        (None, "", None),
        (None, "test", "test"),
        ("test", "retrain", "retrain"),
        ("retrain", "retrain", "retrain"),
        ("train", "test", "train"),
    ],
)
def test_demand_and_plan_come_to_the_stronger(planned, asked, pipeline):
    made = Plan(planned, "planned", "abc", ["x.py"], NONE)
    result = demanded(made, asked, "drift of 0.3")
    assert result.pipeline == pipeline
    assert result.reason == ("planned" if pipeline == planned else f"{pipeline} was asked for: drift of 0.3")
    assert result.changed == ["x.py"]


def test_unknown_demand_is_refused_by_name():
    with pytest.raises(UsageError, match="'deploy' is not known"):
        demanded(UNCHANGED, "deploy", "")
