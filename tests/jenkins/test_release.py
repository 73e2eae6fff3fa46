"""The job release/roll-out, executed: what builds signs, what rolls out takes that alone, once an operator agrees."""

import pytest

from tests.jenkins.groovy import JENKINSFILES, Scenarios

JOBS = (JENKINSFILES / "controller" / "jobs.groovy").read_text()
OPERATOR = {"user": "otto", "groups": ["operators"], "proceed": True}
OWNER = {"user": "ada", "groups": ["product-owners"], "proceed": True}
# Each writes down its call; what is built is the list, and what is rolled out is the list that is there.
SCRIPTS = {
    "sign-in": "",
    "push-images": "echo built > infra/k8s/images/kustomization.yaml",
    "roll-out": '(cat infra/k8s/images/kustomization.yaml; git rev-parse HEAD) >> "$FAKE/rolled-out"',
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    scenarios = Scenarios(folder)
    images = scenarios.repository / "infra" / "k8s" / "images"
    images.mkdir(parents=True)
    (images / "kustomization.yaml").write_text("old\n")
    for name, does in SCRIPTS.items():
        place = scenarios.repository / "scripts" / name
        place.write_text(f'#!/bin/sh -e\necho "{name} $*" >> "$FAKE/scripts"\n[ ! -e "$FAKE/fail-{name}" ]\n{does}\n')
        place.chmod(0o755)
    commit = scenarios.commit("the programs")
    scenarios.add_jobs("jobs", JOBS, models=["digits"])
    own = {"made": "jobs", "of": "release/roll-out"}
    env = {"IMAGES_PREFIX": "r.example.com/trainyard", "SERVING_ADDRESS": "classifier.example.com:443"}
    why = {"WHY": "$(touch pwned)"}
    given = {"params": why, "env": env, **own}
    scenarios.add("agreed", "roll-out.Jenkinsfile", answer=OPERATOR, **given)
    scenarios.add("owner", "roll-out.Jenkinsfile", answer=OWNER, **given)
    scenarios.add("nobody", "roll-out.Jenkinsfile", answer=None, **given)
    unsigned = {"exit": {"run src/python/registry": [2]}}
    scenarios.add("no key", "roll-out.Jenkinsfile", answer=OPERATOR, answers=unsigned, **given)
    scenarios.add("no registry", "roll-out.Jenkinsfile", answer=OPERATOR, params=why, **own)
    scenarios.add("unhealthy", "roll-out.Jenkinsfile", answer=OPERATOR, **given)
    (folder / "unhealthy" / "fake" / "fail-roll-out").touch()
    results = scenarios.run()
    results["commit"], results["folder"] = commit, folder
    return results


def scripts(built, name):
    log = built["folder"] / name / "fake" / "scripts"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_what_was_built_and_signed_is_rolled_out_at_its_own_commit(built):
    build = built["agreed"]
    assert build.result == "SUCCESS", build.log
    assert scripts(built, "agreed") == ["sign-in", "push-images", "roll-out"]
    assert build.calls == [("run src/python/registry", ["run", "src/python/registry", "--", "sign-images"])]
    rolled_out = (built["folder"] / "agreed" / "fake" / "rolled-out").read_text().split()
    assert rolled_out == ["built", built["commit"]]
    (call,) = [c["script"] for c in build.commands if c["label"] == "roll out"]
    assert "--built" in call  # which takes signed lists alone (scripts/roll-out)
    assert build.archived == ["infra/k8s/images/kustomization.yaml"]


def test_what_builds_and_what_rolls_out_are_agents_of_two_kinds(built):
    build = built["agreed"]
    assert build.agent_of("build and sign") == "trainyard-build"
    assert build.agent_of("roll out") == "trainyard-rollout"


def test_an_operator_is_asked_without_an_agent_and_nobody_else_agrees(built):
    (asked,) = built["agreed"].asked
    assert (asked["submitters"], asked["agent"]) == (["operators"], None)
    for name in ("owner", "nobody"):
        assert built[name].result == "ABORTED"
        assert "roll-out" not in scripts(built, name)


def test_nothing_is_asked_or_rolled_out_that_is_not_signed(built):
    build = built["no key"]
    assert (build.result, build.asked) == ("FAILURE", [])
    assert "roll-out" not in scripts(built, "no key")
    assert scripts(built, "no registry") == [] and built["no registry"].result == "FAILURE"


def test_engineers_hear_of_both_ends(built):
    assert [mail["subject"].rpartition(": ")[2] for mail in built["agreed"].mails] == ["rolled out"]
    assert built["unhealthy"].result == "FAILURE"
    (mail,) = built["unhealthy"].mails
    assert mail["to"] == "engineers@example.com" and mail["subject"].endswith("failed")


def test_every_command_has_a_time_limit(built):
    for command in built["agreed"].commands:
        assert len(command["timeouts"]) >= 2 and min(command["timeouts"]) <= 120, command
