"""The Jenkinsfile, executed: which steps a plan comes to, and how a build ends when one of them fails."""

import pytest

from tests.jenkins.groovy import Scenarios

CHECKS = ["lint", "unit-tests", "package"]
# Steps as `plan` names them, for each kind of change.
KINDS = {
    "train": [*CHECKS, "train", "test", "notify"],
    "retrain": [*CHECKS, "retrain", "test", "notify"],
    "test": [*CHECKS, "test", "notify"],
    "code": CHECKS,
    "docs": ["lint"],
    "nothing": [],
}
STAGES = {
    "lint": "Lint and types",
    "unit-tests": "Unit tests",
    "package": "Packages",
    "train": "Train",
    "retrain": "Retrain",
    "test": "Test in the clone",
    "notify": "Notify",
}
# Would leave a file behind if a shell ever read it as more than a text.
POISON = "$(touch '{0}')`touch '{0}'`'; touch '{0}'; '\"; touch '{0}'; \""
INTERPOLATES = """
pipeline {
  agent none
  stages {
    stage('One') {
      agent { label 'any' }
      steps {
        sh "echo ${env.BRANCH_NAME}"
      }
    }
  }
}
"""


def plan(kind):
    return {"plan": {"pipeline": None, "reason": f"because of {kind}", "steps": KINDS[kind]}}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("builds")
    scenarios = Scenarios(folder)
    for kind in KINDS:
        scenarios.add(kind, answers=plan(kind), previous="abc123")
    poison = POISON.format(folder / "pwned")
    scenarios.add("branch", answers=plan("train"), env={"BRANCH_NAME": "topic"})
    scenarios.add(
        "demanded on a branch",
        answers=plan("retrain"),
        env={"BRANCH_NAME": poison, "JOB_NAME": poison},
        params={"DEMAND": "retrain", "WHY": poison, "GPU": "true"},
        previous=poison,
    )
    scenarios.add("gate", answers=plan("train") | {"exit": {"train": [3]}})
    scenarios.add("tests failed", answers=plan("test") | {"exit": {"test": [3]}})
    scenarios.add("check failed", answers=plan("train") | {"exit": {"unit-tests": [3]}})
    scenarios.add("infrastructure once", answers=plan("retrain") | {"exit": {"retrain": [6, 0]}})
    scenarios.add("infrastructure twice", answers=plan("retrain") | {"exit": {"retrain": [6]}})
    scenarios.add("no plan", answers={"exit": {"plan": [6]}, "plan": {}})
    scenarios.add("no registry", answers=plan("train"), env={"TRAINYARD_REGISTRY_URI": ""})
    for result in ("ABORTED", "NOT_BUILT"):
        hanging = str(folder / result / "fake" / "hanging")
        stop = {"step": "train", "when": hanging, "result": result}
        scenarios.add(result, answers=plan("train") | {"hang": "train"}, interrupt=stop)
    lost = {"step": "train", "when": str(folder / "never"), "result": "LOST"}
    scenarios.add("agent lost", answers=plan("train"), interrupt=lost)
    # That the poison is one: a Jenkinsfile that does interpolate, with the check of its text and without.
    scenarios.add("interpolates", INTERPOLATES)
    scenarios.add(
        "interpolates unchecked", INTERPOLATES, check=False, env={"BRANCH_NAME": POISON.format(folder / "proof")}
    )
    results = scenarios.run()
    results["folder"] = folder
    return results


@pytest.mark.parametrize("kind", KINDS)
def test_stages_are_the_steps_of_the_plan(built, kind):
    build = built[kind]
    assert build.result == "SUCCESS", build.log
    assert build.steps == ["plan", *KINDS[kind]]
    assert [name for name in build.ran if name in STAGES.values()] == [STAGES[step] for step in KINDS[kind]]
    assert build.description == f"because of {kind}"
    assert build.mails == []


def test_base_is_the_last_successful_commit_and_empty_without_one(built):
    for build, base in ((built["train"], "abc123"), (built["gate"], "")):
        assert len(build.calls) >= 6
        for step, argv in build.calls:
            assert argv[argv.index("--since") + 1] == base, step


def test_without_work_no_agent_is_taken(built):
    assert [stage["name"] for stage in built["nothing"].stages if stage["label"]] == ["Plan"]
    assert "Model" not in built["code"].ran


def test_branch_other_than_main_makes_a_model_only_on_demand(built):
    assert built["branch"].steps == ["plan", *CHECKS]
    assert built["demanded on a branch"].steps[-3:] == ["retrain", "test", "notify"]


def test_accelerator_is_a_parameter(built):
    assert built["train"].stage("Model")["label"] == "trainyard-train"
    assert built["demanded on a branch"].stage("Model")["label"] == "trainyard-gpu"


def test_names_and_texts_from_outside_reach_no_shell(built):
    build = built["demanded on a branch"]
    assert build.result == "SUCCESS", build.log
    poison = POISON.format(built["folder"] / "pwned")
    assert build.steps == ["plan", *KINDS["retrain"]]
    for step, argv in build.calls:
        assert argv[argv.index("--why") + 1] == poison, step
        assert argv[argv.index("--since") + 1] == poison, step
    assert not (built["folder"] / "pwned").exists()


def test_the_same_names_would_do_harm_in_a_jenkinsfile_that_interpolates(built):
    assert (built["folder"] / "proof").exists()
    assert built["interpolates"].result == "REFUSED"
    assert "literal" in built["interpolates"].refused
    assert built["interpolates"].commands == []


def test_missed_gate_fails_the_build_and_everybody_is_told(built):
    build = built["gate"]
    assert build.result == "FAILURE"
    assert build.stage("Train")["result"] == "FAILURE"
    assert build.steps[-2:] == ["train", "notify"]
    (mail,) = build.mails
    assert mail["to"] == "engineers@example.com"
    assert "train: gate not passed" in mail["subject"]
    assert "because of train" in mail["body"]


def test_failed_model_tests_fail_the_build_and_everybody_is_told(built):
    build = built["tests failed"]
    assert build.result == "FAILURE"
    assert build.steps[-2:] == ["test", "notify"]
    assert "test: gate not passed, or tests failed" in build.mails[0]["subject"]


def test_failed_check_stops_before_a_model_and_the_other_checks_still_say_theirs(built):
    build = built["check failed"]
    assert build.result == "FAILURE"
    assert build.steps == ["plan", *CHECKS]
    assert [build.stage(STAGES[step])["result"] for step in CHECKS] == ["SUCCESS", "FAILURE", "SUCCESS"]
    assert "unit-tests: gate not passed, or tests failed" in build.mails[0]["subject"]


def test_infrastructure_gets_one_more_try(built):
    build = built["infrastructure once"]
    assert (build.result, build.mails) == ("SUCCESS", [])
    assert build.steps[-4:] == ["retrain", "retrain", "test", "notify"]


def test_infrastructure_that_fails_twice_is_called_so(built):
    build = built["infrastructure twice"]
    assert build.result == "FAILURE"
    assert build.steps[-3:] == ["retrain", "retrain", "notify"]
    assert "retrain: infrastructure failed twice" in build.mails[0]["subject"]


def test_build_without_a_plan_checks_nothing_and_says_so(built):
    build = built["no plan"]
    assert (build.result, build.steps) == ("FAILURE", ["plan", "plan"])
    assert "No plan was made" in build.mails[0]["body"]


def test_registry_that_would_go_with_the_workspace_is_refused(built):
    build = built["no registry"]
    assert (build.result, build.steps) == ("FAILURE", [])
    assert any("TRAINYARD_REGISTRY_URI" in line for line in build.log)


@pytest.mark.parametrize("result", ["ABORTED", "NOT_BUILT"])
def test_stopped_build_ends_what_it_started_and_leaves_nothing(built, result):
    build = built[result]
    assert build.result == result
    assert build.steps[-2:] == ["train", "terminated"]
    assert build.mails == []
    assert build.stage("Model")["result"] == result
    assert any(path.endswith("model/key/run.json") for path in build.archived)


def test_lost_agent_is_replaced_once(built):
    build = built["agent lost"]
    assert build.result == "SUCCESS", build.log
    assert build.steps[-4:] == ["train", "train", "test", "notify"]


def test_results_are_archived_and_workspaces_emptied(built):
    build = built["train"]
    assert ".trainyard/plan.json" in build.archived
    for part, step in (("lint", "lint"), ("unit-tests", "unit-tests"), ("package", "package"), ("model", "test")):
        assert f".trainyard/kept/{part}/key/run.json" in build.archived
        assert f".trainyard/kept/{part}/key/{step}.log" in build.archived
    assert build.junit == ["dist/test/reports/tests.xml", ".trainyard/runs/key/junit.xml"]
    for name in ("train", "gate", "ABORTED", "check failed"):
        assert [stage for stage in built[name].stages if stage.get("left")] == [], name


def test_every_command_has_a_time_limit_of_its_stage_and_of_the_build(built):
    assert len(built["train"].commands) >= 7
    for command in built["train"].commands:
        build_limit, *stage_limits = command["timeouts"]
        assert stage_limits, command
        assert max(stage_limits) < build_limit


def test_a_push_supersedes_the_build_before(built):
    assert ["disableConcurrentBuilds", [{"abortPrevious": True}]] in built["train"].directives["options"]
