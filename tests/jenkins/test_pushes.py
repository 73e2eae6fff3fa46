"""Builds of main beside each other: what a push takes over from the build before, and what it leaves alone."""

import pytest

from tests.jenkins.groovy import Scenarios
from tests.jenkins.test_jenkinsfile import plan

LEFT = {"pipeline": None, "reason": "the same run is under way"}


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pushes")
    scenarios = Scenarios(folder)

    def begun(name, step):
        return str(folder / name / "fake" / step)

    def job(name, *builds):
        """Builds of one job, each begun once the one before has come to a step."""
        for number, (answers, given) in enumerate(builds, 1):
            more = {"answers": answers, "job": name, "env": {"BRANCH_NAME": "main"}}
            scenarios.add(f"{name} {number}", **(more | given))

    # The first trains both; the second changes digits alone. chest-xray ends once the second build's digits is done.
    job(
        "other model",
        (
            plan("both", hang=["run digits"], until={"run chest-xray": begun("other model 2", "run digits")}),
            {},
        ),
        (plan("digits"), {"begins": begun("other model 1", "hanging")}),
    )
    # A README changes no model: what is under way goes on.
    done = begun("readme 2", "lint")
    job(
        "readme",
        (plan("both", until={"run digits": done, "run chest-xray": done}), {}),
        (plan("docs"), {"begins": begun("readme 1", "run digits")}),
    )
    # The plan was made before the older build had begun; the model's own agent looks again.
    job(
        "unchanged",
        (plan("digits", until={"run digits": begun("unchanged 2", "plan of digits")}), {}),
        (plan("digits", again={"digits": LEFT}), {"begins": begun("unchanged 1", "run digits")}),
    )
    # The newer push breaks a check: it takes over nothing.
    job(
        "broken",
        (plan("digits", until={"run digits": begun("broken 2", "unit-tests")}), {}),
        (plan("digits", exit={"unit-tests": [3]}), {"begins": begun("broken 1", "run digits")}),
    )
    # Three pushes that change digits: only the last one's run comes to an end.
    job(
        "three",
        (plan("digits", hang=["run digits"]), {}),
        (plan("digits", hang=["run digits"]), {"begins": begun("three 1", "hanging")}),
        (plan("digits"), {"begins": begun("three 2", "hanging")}),
    )
    # What is only being checked is taken over as a whole.
    job(
        "checking",
        (plan("both", hang=["lint"]), {}),
        (plan("docs"), {"begins": begun("checking 1", "hanging")}),
    )
    job(
        "planning",
        (plan("code", until={"plan": begun("planning 2", "plan")}), {}),
        (plan("docs"), {"begins": begun("planning 1", "plan")}),
    )
    # Somebody asks for a test while a training is under way.
    job(
        "demand",
        (plan("digits", until={"run digits": begun("demand 2", "plan")}), {}),
        (
            plan("nothing"),
            {
                "begins": begun("demand 1", "run digits"),
                "params": {"DEMAND": "test", "MODEL": "digits", "WHY": "drift"},
            },
        ),
    )
    # One model fails at once, the other is taken over later: the build has failed.
    job(
        "failed and taken",
        (plan("both", exit={"run chest-xray": [3]}, hang=["run digits"]), {}),
        (plan("digits"), {"begins": begun("failed and taken 1", "hanging")}),
    )
    results = scenarios.run()
    results["fakes"] = {name: folder / name / "fake" for name in results}
    return results


def ended(pushed, build, model):
    """A file that is there once a model's run has come to its end."""
    return pushed["fakes"][build] / f"ended run {model}"


def test_push_takes_over_the_model_that_it_changes_and_leaves_the_other_alone(pushed):
    first, second = pushed["other model 1"], pushed["other model 2"]
    assert "terminated: run digits" in first.steps
    assert "terminated: run chest-xray" not in first.steps
    assert first.stage("chest-xray")["result"] == "SUCCESS"
    assert ended(pushed, "other model 1", "chest-xray").exists()
    assert not ended(pushed, "other model 1", "digits").exists()
    assert "run digits" in second.steps
    assert not any("chest-xray" in step for step in second.steps)


def test_who_supersedes_whom_is_told_by_model(pushed):
    first, second = pushed["other model 1"], pushed["other model 2"]
    assert "digits: superseded by build 2" in first.description
    assert "chest-xray: superseded" not in first.description
    assert "digits: supersedes build 1" in second.description
    assert "chest-xray: goes on in build 1" in second.description
    # Nobody failed; and yet not all that the build was about came to its end.
    assert (first.result, second.result) == ("NOT_BUILT", "SUCCESS")
    assert first.variables["SUPERSEDED"] == "digits"
    assert first.mails == second.mails == []


def test_push_that_changes_no_model_stops_none(pushed):
    first, second = pushed["readme 1"], pushed["readme 2"]
    assert (first.result, second.result) == ("SUCCESS", "SUCCESS")
    for model in ("chest-xray", "digits"):
        assert ended(pushed, "readme 1", model).exists()
    assert second.steps == ["plan", "lint"]
    assert second.description.split("\n")[0] == "because of docs"
    assert "digits: goes on in build 1" in second.description


def test_model_under_way_unchanged_is_not_begun_again(pushed):
    first, second = pushed["unchanged 1"], pushed["unchanged 2"]
    assert (first.result, second.result) == ("SUCCESS", "SUCCESS")
    assert "run digits" not in second.steps
    assert "digits: the same run is under way" in second.description


def test_push_whose_checks_fail_takes_over_nothing(pushed):
    first, second = pushed["broken 1"], pushed["broken 2"]
    assert (first.result, second.result) == ("SUCCESS", "FAILURE")
    assert first.steps[-1] == "run digits"


def test_of_three_pushes_the_last_one_stays(pushed):
    builds = [pushed[f"three {number}"] for number in (1, 2, 3)]
    assert [build.result for build in builds] == ["NOT_BUILT", "NOT_BUILT", "SUCCESS"]
    assert "digits: superseded by build 2" in builds[0].description
    assert "digits: superseded by build 3" in builds[1].description
    assert "digits: supersedes build 2" in builds[2].description


@pytest.mark.parametrize("name", ["checking", "planning"])
def test_push_takes_over_what_is_only_planned_or_checked(pushed, name):
    first, second = pushed[f"{name} 1"], pushed[f"{name} 2"]
    assert (first.result, second.result) == ("NOT_BUILT", "SUCCESS")
    assert "superseded by build 2" in first.description
    assert not any(step.startswith("run ") for step in first.steps)
    assert first.mails == []


def test_checks_that_are_under_way_are_ended(pushed):
    assert "terminated: lint" in pushed["checking 1"].steps


def test_what_is_asked_for_waits_for_what_is_under_way(pushed):
    first, second = pushed["demand 1"], pushed["demand 2"]
    assert (first.result, second.result) == ("SUCCESS", "SUCCESS")
    assert "superseded" not in first.description
    begun = pushed["fakes"]["demand 2"] / "run digits"
    end = ended(pushed, "demand 1", "digits").stat()
    assert end.st_mtime_ns < begun.stat().st_mtime_ns
    # It holds no agent meanwhile.
    assert end.st_mtime_ns // 1_000_000 <= second.stage("digits")["taken"]


def test_model_that_failed_is_not_hidden_by_one_that_was_taken_over(pushed):
    first = pushed["failed and taken 1"]
    assert first.result == "FAILURE"
    assert "digits: superseded by build 2" in first.description
    assert ["chest-xray: gate" in mail["subject"] for mail in first.mails] == [True]
