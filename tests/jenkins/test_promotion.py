"""The jobs Promote, Rollback and Request, executed: who may answer, and what is then called."""

import pytest

from tests.jenkins.groovy import Scenarios

POISON = "$(touch '{0}')`touch '{0}'`'; touch '{0}'; '\"; touch '{0}'; \""
OWNER = {"user": "ada", "groups": ["product-owners"], "proceed": True}
OPERATOR = {"user": "otto", "groups": ["operators"], "proceed": True}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("promotions")
    scenarios = Scenarios(folder)
    wanted = {"VERSION": "4", "REASON": POISON.format(folder / "pwned")}
    for name, answer in {
        "owner": OWNER,
        "owner rejects": OWNER | {"proceed": False},
        "nobody": None,
        "operator": OPERATOR,
        "namesake": {"user": "eve", "groups": ["product-owners-friends"], "proceed": True},
    }.items():
        scenarios.add(name, "promote.Jenkinsfile", params=wanted, answer=answer)
    scenarios.add("not promotable", "promote.Jenkinsfile", params=wanted, answer=OWNER, answers={"exit": {"run": [3]}})
    back = {"TO": "", "REASON": wanted["REASON"]}
    scenarios.add("back", "rollback.Jenkinsfile", params=back, answer=OPERATOR)
    scenarios.add("back to", "rollback.Jenkinsfile", params=back | {"TO": wanted["REASON"]}, answer=OWNER)
    scenarios.add(
        "back by a stranger", "rollback.Jenkinsfile", params=back, answer={"user": "x", "groups": [], "proceed": True}
    )
    asked = {"DEMAND": "retrain", "WHY": "drift"}
    scenarios.add("schedule", "request.Jenkinsfile")
    scenarios.add("first", "request.Jenkinsfile", env={"BUILD_NUMBER": "1"})
    scenarios.add("superseded", "request.Jenkinsfile", params=asked, requested=["NOT_BUILT", "NOT_BUILT", "SUCCESS"])
    scenarios.add("always superseded", "request.Jenkinsfile", params=asked, requested=["NOT_BUILT"])
    scenarios.add("aborted", "request.Jenkinsfile", params=asked, requested=["ABORTED"])
    results = scenarios.run()
    results["folder"] = folder
    return results


def test_owner_is_asked_without_an_agent_and_promotes_under_their_name(built):
    build = built["owner"]
    assert build.result == "SUCCESS", build.log
    dry, real = (argv for _, argv in build.calls)
    assert dry == ["run", "src/python/promote", "--", "run", "--version=4", "--dry-run"]
    reason = f"--reason={POISON.format(built['folder'] / 'pwned')}"
    assert real == ["run", "src/python/promote", "--", "run", "--version=4", "--yes", "--approver=ada", reason]
    assert not (built["folder"] / "pwned").exists()
    (asked,) = build.asked
    assert (asked["submitters"], asked["agent"]) == (["product-owners"], None)


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


def test_rollback_takes_the_version_before_or_the_one_named(built):
    back, back_to = built["back"].calls[0][1], built["back to"].calls[0][1]
    reason = POISON.format(built["folder"] / "pwned")
    assert back[3:] == ["rollback", "--yes", "--approver=otto", f"--reason={reason}"]
    assert back_to[3:] == ["rollback", f"--to={reason}", "--yes", "--approver=ada", f"--reason={reason}"]
    assert (built["back by a stranger"].result, built["back by a stranger"].calls) == ("ABORTED", [])


def test_every_command_of_theirs_has_a_time_limit(built):
    for name, commands in (("owner", 2), ("back", 1)):
        assert len(built[name].commands) == commands
        for command in built[name].commands:
            assert len(command["timeouts"]) >= 2
            assert min(command["timeouts"]) <= 60


def test_schedule_asks_for_a_retraining_of_main(built):
    assert built["schedule"].requests == [
        {"job": "/trainyard/main", "parameters": {"DEMAND": "retrain", "WHY": "weekly schedule"}}
    ]


def test_first_build_which_the_seed_job_starts_asks_for_nothing(built):
    assert (built["first"].result, built["first"].requests) == ("SUCCESS", [])


def test_request_that_a_push_superseded_is_made_again(built):
    assert (built["superseded"].result, len(built["superseded"].requests)) == ("SUCCESS", 3)
    assert (built["always superseded"].result, len(built["always superseded"].requests)) == ("FAILURE", 10)
    assert (built["aborted"].result, len(built["aborted"].requests)) == ("FAILURE", 1)


def test_remote_request_needs_a_token_that_is_in_no_repository(built):
    triggers = dict(built["schedule"].directives["triggers"])
    assert triggers["cron"]
    (remote,) = triggers["GenericTrigger"]
    assert remote["tokenCredentialId"]
    assert "token" not in remote
