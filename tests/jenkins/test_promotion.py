"""The jobs Promote, Rollback and Request, executed: who may answer, and what is then called."""

import pytest

from tests.jenkins.groovy import JENKINSFILES, Scenarios

JOBS = (JENKINSFILES / "controller" / "jobs.groovy").read_text()

POISON = "$(touch '{0}')`touch '{0}'`'; touch '{0}'; '\"; touch '{0}'; \""
OWNER = {"user": "ada", "groups": ["product-owners"], "proceed": True}
OPERATOR = {"user": "otto", "groups": ["operators"], "proceed": True}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("promotions")
    scenarios = Scenarios(folder)
    scenarios.add_jobs("jobs", JOBS, models=["chest-xray", "digits"])
    promotion, back_again, request = (
        {"made": "jobs", "of": job} for job in ("production/promote", "production/rollback", "request")
    )
    wanted = {"MODEL": "digits", "VERSION": "4", "REASON": POISON.format(folder / "pwned")}
    for name, answer in {
        "owner": OWNER,
        "owner rejects": OWNER | {"proceed": False},
        "nobody": None,
        "operator": OPERATOR,
        "namesake": {"user": "eve", "groups": ["product-owners-friends"], "proceed": True},
    }.items():
        env = {"TRAINYARD_SERVING_PODS": "{model}-adapter.trainyard.svc:9090"} if name == "owner" else {}
        scenarios.add(name, "promote.Jenkinsfile", params=wanted, answer=answer, env=env, **promotion)
    refused = {"exit": {"run": [3]}}
    scenarios.add("not promotable", "promote.Jenkinsfile", params=wanted, answer=OWNER, answers=refused, **promotion)
    back = {"MODEL": "digits", "TO": "", "REASON": wanted["REASON"]}
    scenarios.add("back", "rollback.Jenkinsfile", params=back, answer=OPERATOR, **back_again)
    there = back | {"TO": wanted["REASON"]}
    scenarios.add("back to", "rollback.Jenkinsfile", params=there, answer=OWNER, **back_again)
    stranger = {"user": "x", "groups": [], "proceed": True}
    scenarios.add("back by a stranger", "rollback.Jenkinsfile", params=back, answer=stranger, **back_again)
    asked = {"MODEL": "digits", "DEMAND": "retrain", "WHY": "drift"}
    other = {"result": "NOT_BUILT", "buildVariables": {"SUPERSEDED": "chest-xray"}}
    this = {"result": "NOT_BUILT", "buildVariables": {"SUPERSEDED": "chest-xray digits"}}
    for name, ends in {
        "superseded": ["NOT_BUILT", this, "SUCCESS"],
        "always superseded": ["NOT_BUILT"],
        "other superseded": [other],
        "aborted": ["ABORTED"],
    }.items():
        scenarios.add(name, "request.Jenkinsfile", params=asked, requested=ends, **request)
    scenarios.add("schedule", "request.Jenkinsfile", **request)
    results = scenarios.run()
    results["folder"] = folder
    return results


def test_owner_is_asked_without_an_agent_and_promotes_under_their_name(built):
    build = built["owner"]
    assert build.result == "SUCCESS", build.log
    dry, real = (argv for _, argv in build.calls)
    assert dry == ["run", "src/python/promote", "--", "run", "--model=digits", "--version=4", "--dry-run"]
    reason = f"--reason={POISON.format(built['folder'] / 'pwned')}"
    assert real[3:] == ["run", "--model=digits", "--version=4", "--yes", "--approver=ada", reason]
    assert not (built["folder"] / "pwned").exists()
    (asked,) = build.asked
    assert (asked["submitters"], asked["agent"]) == (["product-owners"], None)


def test_pods_that_are_asked_are_the_models(built):
    assert built["owner"].pods == ["digits-adapter.trainyard.svc:9090"] * 2
    # Where no pods are told of, none are asked.
    assert built["back"].pods == [None]


@pytest.mark.parametrize("name", ["owner rejects", "nobody", "operator", "namesake"])
def test_without_an_owners_approval_nothing_is_promoted(built, name):
    build = built[name]
    assert build.result == "ABORTED"
    assert [argv[-1] for _, argv in build.calls] == ["--dry-run"]
    assert build.stage("Promote")["label"] is None


def test_what_cannot_be_promoted_is_not_asked_about(built):
    build = built["not promotable"]
    assert (build.result, build.asked) == ("FAILURE", [])
    assert build.mails[0]["to"] == "engineers@example.com"
    assert "digits" in build.mails[0]["subject"]


def test_rollback_takes_the_version_before_or_the_one_named(built):
    back, back_to = built["back"].calls[0][1], built["back to"].calls[0][1]
    reason = POISON.format(built["folder"] / "pwned")
    assert back[3:] == ["rollback", "--model=digits", "--yes", "--approver=otto", f"--reason={reason}"]
    assert back_to[3:] == [
        "rollback",
        "--model=digits",
        f"--to={reason}",
        "--yes",
        "--approver=ada",
        f"--reason={reason}",
    ]
    assert (built["back by a stranger"].result, built["back by a stranger"].calls) == ("ABORTED", [])


def test_every_command_of_theirs_has_a_time_limit(built):
    for name, commands in (("owner", 2), ("back", 1)):
        assert len(built[name].commands) == commands
        for command in built[name].commands:
            assert len(command["timeouts"]) >= 2
            assert min(command["timeouts"]) <= 60


def test_schedule_asks_for_a_retraining_of_every_model_of_main(built):
    assert built["schedule"].requests == [
        {"job": "/trainyard/main", "parameters": {"MODEL": "", "DEMAND": "retrain", "WHY": "weekly schedule"}}
    ]


def test_request_that_a_push_superseded_is_made_again(built):
    assert (built["superseded"].result, len(built["superseded"].requests)) == ("SUCCESS", 3)
    assert (built["always superseded"].result, len(built["always superseded"].requests)) == ("FAILURE", 10)
    assert (built["aborted"].result, len(built["aborted"].requests)) == ("FAILURE", 1)


def test_request_is_not_made_again_for_a_model_that_it_was_not_about(built):
    assert (built["other superseded"].result, len(built["other superseded"].requests)) == ("SUCCESS", 1)
