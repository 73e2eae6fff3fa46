"""A missed gate is told with where it comes from, and with the one that the version was trained with."""

import pytest

import models
from testing import limits
from testing.suites import test_accuracy as suite
from tests.model_folders import describe_model
from tests.unit.testing.records import record


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trainyard.toml").write_text("[gates]\nmin_accuracy = 0.85\n")
    describe_model(tmp_path, limits_toml="[gates]\nmin_recall = 0.8\n")
    return models.find(start=tmp_path)


def trained(**gates):
    gate = {"kind": "gate", "passed": True, "at": "now", "details": {"gates": gates}}
    return record(3, ["a"], verdicts=[gate])


def test_gate_names_what_sets_it_and_that_of_the_training(model):
    budget = limits.of(model, trained(min_accuracy=0.75, min_recall=0.8))
    assert budget.told("min_accuracy") == (
        "0.85 (by min_accuracy of [gates] in trainyard.toml; at its training the gate was 0.75)"
    )
    assert budget.told("min_recall") == "0.8 (by min_recall of [gates] in models/chest_xray/limits.toml)"
    assert set(budget.limits()) >= {"min_accuracy", "max_flips"} and "origins" not in budget.limits()


def test_flag_and_variable_are_named(model, monkeypatch):
    monkeypatch.setenv("TRAINYARD_GATES_MIN_RECALL", "0.9")
    again = models.find(start=model.folder)
    budget = limits.of(again, record(3, ["a"]), min_accuracy=0.95)
    assert (budget.min_accuracy, budget.min_recall) == (0.95, 0.9)
    assert budget.told("min_accuracy") == "0.95 (by --min-accuracy)"
    assert budget.told("min_recall") == "0.9 (by TRAINYARD_GATES_MIN_RECALL)"


def test_suite_tells_the_gate_it_used(model):
    class Measured:
        accuracy, images = 0.8, 40

    with pytest.raises(
        AssertionError, match=r"is under 0\.85 \(by min_accuracy of \[gates\] in trainyard\.toml; at its"
    ):
        suite.test_accuracy_is_over_the_gate(Measured, limits.of(model, trained(min_accuracy=0.75)))
