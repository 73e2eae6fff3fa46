"""The Jenkinsfile, executed: what a plan comes to, and how a build ends when a part of it fails."""

import pytest

from tests.jenkins.groovy import Scenarios

CHECKS = ["lint", "unit-tests", "package"]
# Checks and models as `plan` names them, for each kind of change.
KINDS = {
    "both": (CHECKS, {"chest-xray": "train", "digits": "retrain"}),
    "digits": (CHECKS, {"digits": "train"}),
    "test": (CHECKS, {"chest-xray": "test"}),
    "code": (CHECKS, {}),
    "docs": (["lint"], {}),
    "nothing": ([], {}),
}
STAGES = {"lint": "Lint and types", "unit-tests": "Unit tests", "package": "Packages"}
MODELS = ("chest-xray", "digits")
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


def plan(kind, **more):
    checks, models = KINDS[kind]
    said = [{"name": n, "pipeline": models.get(n), "reason": f"{n} because of {kind}"} for n in MODELS]
    return {"plan": {"reason": f"because of {kind}", "checks": checks, "models": said}, **more}


def steps_of(kind):
    checks, models = KINDS[kind]
    return ["plan", *checks, *(step for model in models for step in (f"plan of {model}", f"run {model}"))]


# By the controller, for whoever trains.
SET = {
    "TRAINYARD_SIGNING_KEY": "/etc/trainyard/signing/signing.pem",
    "TRAINYARD_SIGNING_PUBLIC_KEYS": "/etc/trainyard/signing",
    "TRAINYARD_MAIL_SMTP_HOST": "smtp.example.com",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("builds")
    scenarios = Scenarios(folder)
    for kind in KINDS:
        scenarios.add(kind, answers=plan(kind), previous="abc123")
    poison = POISON.format(folder / "pwned")
    scenarios.add("branch", answers=plan("both"), env={"BRANCH_NAME": "topic"})
    scenarios.add(
        "demanded on a branch",
        answers=plan("both"),
        env={"BRANCH_NAME": poison, "JOB_NAME": poison, **SET},
        params={"DEMAND": "retrain", "MODEL": "digits", "WHY": poison, "GPU": "true"},
        previous=poison,
    )
    gpu = {"DEMAND": "train", "MODEL": "digits", "GPU": "true"}
    scenarios.add("with an accelerator", answers=plan("nothing"), params=gpu, env={"EXECUTOR": "kubernetes"})
    scenarios.add("demanded of all", answers=plan("nothing"), params={"DEMAND": "test", "WHY": "drift"})
    scenarios.add("demanded of none", answers=plan("nothing"), params={"DEMAND": "test", "MODEL": "dgits"})
    gate = {"run chest-xray": [3]}
    scenarios.add("gate", answers=plan("both", exit=gate))
    scenarios.add("both fail", answers=plan("both", exit={**gate, "run digits": [1]}))
    scenarios.add("check failed", answers=plan("both", exit={"unit-tests": [3]}))
    scenarios.add("infrastructure once", answers=plan("digits", exit={"run digits": [6, 0]}))
    scenarios.add("infrastructure twice", answers=plan("digits", exit={"run digits": [6]}))
    scenarios.add("no plan", answers={"exit": {"plan": [6]}, "plan": {}})
    scenarios.add("no registry", answers=plan("both"), env={"TRAINYARD_REGISTRY_URI": ""})
    # Each of the two waits for the other's: they end only if they run side by side.
    runs = {
        f"run {one}": str(folder / "side by side" / "fake" / f"run {other}") for one, other in (MODELS, MODELS[::-1])
    }
    scenarios.add("side by side", answers=plan("both", until=runs))
    for result in ("ABORTED", "NOT_BUILT"):
        stop = {"when": str(folder / result / "fake" / "hanging"), "result": result}
        scenarios.add(result, answers=plan("digits", hang=["run digits"]), interrupt=stop)
    lost = {"step": "digits", "result": "LOST"}
    scenarios.add("agent lost", answers=plan("digits"), interrupt=lost)
    # That the poison is one: a Jenkinsfile that does interpolate, with the check of its text and without.
    scenarios.add("interpolates", INTERPOLATES)
    scenarios.add(
        "interpolates unchecked", INTERPOLATES, check=False, env={"BRANCH_NAME": POISON.format(folder / "proof")}
    )
    results = scenarios.run()
    results["folder"] = folder
    return results


@pytest.mark.parametrize("kind", KINDS)
def test_build_does_what_the_plan_names(built, kind):
    build = built[kind]
    assert build.result == "SUCCESS", build.log
    assert sorted(build.steps) == sorted(steps_of(kind))
    checks, models = KINDS[kind]
    assert {n for n in build.ran if n in STAGES.values()} == {STAGES[check] for check in checks}
    assert {stage["name"] for stage in build.stages if stage["name"] in MODELS} == set(models)
    lines = [f"{model}: {pipeline}, {model} because of {kind}" for model, pipeline in models.items()]
    assert build.description.split("\n") == (lines or [f"because of {kind}"])
    assert build.mails == []


def test_models_run_side_by_side_on_agents_of_their_own(built):
    build = built["side by side"]
    assert build.result == "SUCCESS", build.log
    agents = [command["agent"] for command in build.commands if command["label"] in MODELS]
    assert agents == ["trainyard-train"] * 2


def test_models_are_begun_after_the_checks_and_counted_as_checked(built):
    steps = built["both"].steps
    assert max(map(steps.index, CHECKS)) < min(steps.index(f"run {model}") for model in MODELS)
    for model in MODELS:
        assert "--checked" in built["both"].call(f"run {model}")


def test_base_is_the_last_successful_commit_and_empty_without_one(built):
    for build, base in ((built["both"], "abc123"), (built["gate"], "")):
        assert len(build.calls) >= 8
        for step, argv in build.calls:
            assert argv[argv.index("--since") + 1] == base, step
            assert "--or-everything" in argv, step


def test_without_work_no_agent_is_taken(built):
    assert [stage["name"] for stage in built["nothing"].stages if stage["label"]] == ["Plan"]
    assert "Models" not in built["code"].ran


def test_branch_other_than_main_makes_a_model_only_on_demand_and_only_that_one(built):
    assert sorted(built["branch"].steps) == sorted(["plan", *CHECKS])
    assert built["demanded on a branch"].steps[-1:] == ["run digits"]
    assert "run chest-xray" not in built["demanded on a branch"].steps


def test_model_of_a_branch_is_made_without_our_key_in_a_registry_that_nothing_is_promoted_from(built):
    build = built["demanded on a branch"]
    assert build.agent_of("digits") == "trainyard-trial"
    (told,) = [told for (step, _), told in zip(build.calls, build.told, strict=True) if step == "run digits"]
    # Nor does its owner hear of it.
    assert told == {"TRAINYARD_REGISTRY_URI": ".trainyard/registry", **dict.fromkeys(SET)}
    (of_main,) = [
        t for (step, _), t in zip(built["digits"].calls, built["digits"].told, strict=True) if step == "run digits"
    ]
    assert of_main["TRAINYARD_REGISTRY_URI"].endswith("/registry") and of_main["TRAINYARD_REGISTRY_URI"][0] == "/"


def test_demand_without_a_model_is_of_all_and_for_an_unknown_one_the_known_are_told(built):
    build = built["demanded of all"]
    assert build.result == "SUCCESS"
    assert sorted(build.steps) == ["plan", "run chest-xray", "run digits"]
    for model in MODELS:
        argv = build.call(f"run {model}")
        assert argv[argv.index("--demand") + 1 :][:3] == ["test", "--why", "drift"]
    assert "digits: test was asked for: drift" in build.description
    assert built["demanded of none"].result == "FAILURE"
    assert any("no model dgits; known: chest-xray, digits" in line for line in built["demanded of none"].log)


def test_accelerator_is_a_parameter(built):
    agents = {name: built[name].agent_of("digits") for name in ("digits", "with an accelerator")}
    assert agents == {"digits": "trainyard-train", "with an accelerator": "trainyard-gpu"}
    # There, and in no Job, which would be one without.
    argv = built["with an accelerator"].call("run digits")
    assert argv[argv.index("--executor") + 1] == "local"


def test_names_and_texts_from_outside_reach_no_shell(built):
    build = built["demanded on a branch"]
    assert build.result == "SUCCESS", build.log
    poison = POISON.format(built["folder"] / "pwned")
    assert sorted(build.steps) == sorted(["plan", *CHECKS, "run digits"])
    argv = build.call("run digits")
    assert argv[argv.index("--why") + 1] == poison
    for step, argv in build.calls:
        assert argv[argv.index("--since") + 1] == poison, step
    assert not (built["folder"] / "pwned").exists()


def test_the_same_names_would_do_harm_in_a_jenkinsfile_that_interpolates(built):
    assert (built["folder"] / "proof").exists()
    assert built["interpolates"].result == "REFUSED"
    assert "literal" in built["interpolates"].refused
    assert built["interpolates"].commands == []


def test_one_model_that_fails_fails_the_build_with_a_mail_of_its_own_and_the_other_goes_on(built):
    build = built["gate"]
    assert build.result == "FAILURE"
    assert {model: build.stage(model)["result"] for model in MODELS} == {"chest-xray": "FAILURE", "digits": "SUCCESS"}
    assert "run digits" in build.steps
    (mail,) = build.mails
    assert mail["to"] == "engineers@example.com"
    assert "chest-xray: gate not passed" in mail["subject"]
    assert "chest-xray because of both" in mail["body"]


def test_two_models_that_fail_are_two_mails(built):
    assert sorted(mail["subject"].split(", ", 1)[1] for mail in built["both fail"].mails) == [
        "chest-xray: gate not passed, or tests failed",
        "digits: exit code 1",
    ]


def test_failed_check_stops_before_a_model_and_the_other_checks_still_say_theirs(built):
    build = built["check failed"]
    assert build.result == "FAILURE"
    assert sorted(build.steps) == sorted(["plan", *CHECKS])
    assert [build.stage(STAGES[step])["result"] for step in CHECKS] == ["SUCCESS", "FAILURE", "SUCCESS"]
    (mail,) = build.mails
    assert "unit-tests: gate not passed, or tests failed" in mail["subject"]


def test_infrastructure_gets_one_more_try(built):
    build = built["infrastructure once"]
    assert (build.result, build.mails) == ("SUCCESS", [])
    assert build.steps[-2:] == ["run digits", "run digits"]


def test_infrastructure_that_fails_twice_is_called_so(built):
    build = built["infrastructure twice"]
    assert build.result == "FAILURE"
    assert build.steps[-2:] == ["run digits", "run digits"]
    assert "digits: infrastructure failed twice" in build.mails[0]["subject"]


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
    assert build.steps[-2:] == ["run digits", "terminated: run digits"]
    assert build.mails == []
    assert build.stage("digits")["result"] == result
    assert any(path.endswith("digits/key/run.json") for path in build.archived)


def test_lost_agent_is_replaced_once(built):
    build = built["agent lost"]
    assert build.result == "SUCCESS", build.log
    assert build.steps[-4:] == ["plan of digits", "run digits"] * 2


def test_results_are_archived_by_part_and_workspaces_emptied(built):
    build = built["both"]
    assert ".trainyard/plan.json" in build.archived
    for part in (*CHECKS, *MODELS):
        assert f".trainyard/kept/{part}/key/run.json" in build.archived
    for model in MODELS:
        assert f".trainyard/kept/{model}/key/run-{model}.log" in build.archived
    assert sorted(build.junit) == [".trainyard/runs/key/junit.xml"] * 2 + ["dist/test/reports/tests.xml"]
    for name in ("both", "gate", "ABORTED", "check failed", "agent lost"):
        assert [stage for stage in built[name].stages if stage.get("left")] == [], name


def test_every_command_has_a_time_limit_of_its_stage_and_of_the_build(built):
    assert len(built["both"].commands) >= 8
    for command in built["both"].commands:
        build_limit, *stage_limits = command["timeouts"]
        assert stage_limits, command
        assert max(stage_limits) < build_limit
