"""Which steps run, how a pipeline ends, and which mail goes out; the steps are stand-ins."""

import json
import os
import subprocess
import sys
from email import message_from_bytes, policy

import pytest

from cli import UsageError
from contracts.plan import ModelPlan
from pipeline import pipelines, steps
from pipeline.executors import Job, Modules
from pipeline.executors.docker import Docker
from pipeline.executors.local import Local
from pipeline.runner import Run
from pipeline.step import Step
from registry import Keys, Registry, ServingState
from settings import Settings
from testkit.registries import published


@pytest.fixture
def settings(tmp_path):
    base = Settings()
    return base.model_copy(
        update={
            "registry": base.registry.model_copy(update={"uri": str(tmp_path / "registry")}),
            "mail": base.mail.model_copy(update={"outbox": str(tmp_path / "outbox")}),
        }
    )


@pytest.fixture
def registry(settings, tmp_path):
    opened = Registry.open(settings.registry.uri, settings.model.name)
    record = published(opened, tmp_path)
    verdict = {"kind": "test", "passed": True, "at": "2026-01-01T00:00:00Z"}
    opened.add_verdict(record.version, verdict)
    return opened


def carry_out(name, settings, tmp_path, only=None, plan=None, **endings):
    """Runs a pipeline whose steps end as told: (exit code, result)."""
    started = []

    class Executor:
        shares_machine = True

        def images(self, rows, affected):
            return None

        def step(self, row, arguments):
            started.append(row.name)
            code, result = endings[row.name]
            program = f"print({json.dumps(json.dumps(result))}); raise SystemExit({code})"
            return Step(row.name, [sys.executable, "-c", program], os.environ)

    run = Run(tmp_path / "runs", "key", {"plan": plan} if plan else {}, lambda text: None)
    outcome = pipelines.carry_out(name, run, Executor(), settings, "a reason", only=only)
    run.leave()
    return outcome, started


def subjects(tmp_path):
    mails = sorted((tmp_path / "outbox").glob("*.eml"))
    return [message_from_bytes(mail.read_bytes(), policy=policy.default)["subject"] for mail in mails]


GOOD = (0, {"version": 1})


@pytest.mark.parametrize("name", ["train", "retrain"])
def test_training_ends_in_a_test_and_a_mail(name, settings, registry, tmp_path):
    outcome, started = carry_out(name, settings, tmp_path, **{name: GOOD, "test": GOOD})
    assert started == [name, "test"]
    assert (outcome.exit_code, outcome.version) == (0, 1)
    assert subjects(tmp_path) == ["chest-xray 1 passed its tests"]


def mail(tmp_path):
    (path,) = (tmp_path / "outbox").glob("*.eml")
    return message_from_bytes(path.read_bytes(), policy=policy.default)


@pytest.mark.parametrize("code", [0, 3])
def test_mail_about_tests_shows_the_picture_of_the_report(code, settings, registry, tmp_path):
    registry.save_report(1, "confusion.png", b"\x89PNG picture")
    carry_out("test", settings, tmp_path, test=(code, {"version": 1, "report": "/reg/test.html"}))
    (picture,) = (part for part in mail(tmp_path).walk() if part.get_content_type() == "image/png")
    assert picture.get_content() == b"\x89PNG picture"
    assert picture["Content-ID"].strip("<>") in mail(tmp_path).get_body(("html",)).get_content()
    assert "/reg/test.html" in mail(tmp_path).get_body(("plain",)).get_content()


def test_mail_tells_what_changed_since_production(settings, registry, tmp_path):
    grown = {"uri": "sample", "fingerprint": "e" * 64, "images": 301, "classes": {"COVID": 101, "Normal": 100}}
    published(registry, tmp_path, dataset=grown)
    registry.add_verdict(2, {"kind": "test", "passed": True, "at": "2026-01-01T00:00:00Z"})
    registry.write_serving(ServingState((1,), {"stable": 1}, registry.serving().generation))
    carry_out("test", settings, tmp_path, test=(0, {"version": 2}))
    text = mail(tmp_path).get_body(("plain",)).get_content()
    assert "Changed since version 1" in text
    assert "Images: COVID +1 (now 101), Viral Pneumonia −100 (now 0)" in text


def test_missed_gate_is_not_tested_and_mailed(settings, registry, tmp_path):
    outcome, started = carry_out("train", settings, tmp_path, train=(3, {"version": 1}))
    assert started == ["train"]
    assert outcome.exit_code == 3
    assert "gate" in subjects(tmp_path)[0]


def test_failed_tests_are_mailed(settings, registry, tmp_path):
    outcome, _ = carry_out("test", settings, tmp_path, test=(3, {"version": 1}))
    assert outcome.exit_code == 3
    assert "failed its tests" in subjects(tmp_path)[0]


FAULT = {"file": "src/python/testing/suites/test_it.py", "name": "test_it", "error": "KeyError: 'x'"}


@pytest.mark.parametrize("only", [None, "notify"])
def test_tests_that_went_wrong_are_mailed_and_blame_no_model(only, settings, registry, tmp_path):
    broken = (2, {"version": 1, "passed": None, "broken": [FAULT]})
    if only:  # as a build server calls the steps, one after the other
        outcome, _ = carry_out("test", settings, tmp_path, "test", test=broken)
        assert outcome.exit_code == 2 and subjects(tmp_path) == []
    outcome, _ = carry_out("test", settings, tmp_path, only, test=broken)
    assert (outcome.exit_code, outcome.version) == (2, 1)
    assert subjects(tmp_path) == ["chest-xray 1: broken model tests"]
    text = mail(tmp_path).get_body(("plain",)).get_content()
    assert "test_it.py::test_it: KeyError: 'x'" in text
    assert "Why      a reason" in text
    assert outcome.mail and outcome.mail.endswith(".eml")


def test_tests_that_went_wrong_beside_others_that_failed_are_a_mail_of_their_own(settings, registry, tmp_path):
    outcome, _ = carry_out("test", settings, tmp_path, test=(3, {"version": 1, "passed": False, "broken": [FAULT]}))
    assert outcome.exit_code == 3
    assert sorted(subjects(tmp_path)) == ["chest-xray 1 failed its tests", "chest-xray 1: broken model tests"]


def test_usage_error_of_a_test_blames_no_test(settings, registry, tmp_path):
    outcome, _ = carry_out("test", settings, tmp_path, test=(2, None))
    assert outcome.exit_code == 2 and subjects(tmp_path) == []


def test_mail_about_pushed_tests_tells_the_runs_reason_and_the_commits_of_the_tests(
    settings, registry, tmp_path, monkeypatch
):
    checkout = tmp_path / "checkout"
    tests = checkout / "src/python/testing/suites/test_new.py"
    tests.parent.mkdir(parents=True)
    monkeypatch.chdir(checkout)
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "Before")
    base = git("rev-parse", "HEAD")
    tests.write_text("def test_it():\n    pass\n")
    git("add", ".")
    git("commit", "-q", "-m", "Ask for more")
    changed = ["README.md", "src/python/testing/suites/test_new.py"]
    plan = {"pipeline": "test", "reason": "", "base": base, "changed": changed}
    carry_out("test", settings, tmp_path, plan=plan, test=GOOD)
    text = mail(tmp_path).get_body(("plain",)).get_content()
    assert "Why      a reason" in text
    assert "Commits of the model tests:" in text and "Ask for more (Ada)" in text and "Before" not in text


def git(*arguments):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize("code", [4, 5, 6, 1])
def test_failure_that_is_no_verdict_keeps_its_code_and_blames_no_model(code, settings, registry, tmp_path):
    outcome, _ = carry_out("train", settings, tmp_path, train=GOOD, test=(code, None))
    assert outcome.exit_code == code
    assert subjects(tmp_path) == []


def test_mail_that_cannot_be_made_changes_no_outcome(settings, registry, tmp_path):
    (tmp_path / "outbox").write_text("in the way")
    outcome, _ = carry_out("train", settings, tmp_path, train=GOOD, test=GOOD)
    assert outcome.exit_code == 0
    outcome, _ = carry_out("test", settings, tmp_path / "2", test=(0, {"version": 99}))
    assert (outcome.exit_code, outcome.mail) == (0, None)


def test_steps_called_one_by_one_come_to_the_same(settings, registry, tmp_path):
    registry.save_report(1, "junit.xml", b"<testsuites/>")
    outcome, started = carry_out("train", settings, tmp_path, only="train", train=GOOD)
    assert (outcome.exit_code, outcome.version, started) == (0, 1, ["train"])
    outcome, started = carry_out("train", settings, tmp_path, only="test", test=GOOD)
    assert (outcome.exit_code, started) == (0, ["test"])
    assert (tmp_path / "runs" / "key" / "junit.xml").read_bytes() == b"<testsuites/>"
    assert subjects(tmp_path) == []
    outcome, started = carry_out("train", settings, tmp_path, only="notify")
    assert (outcome.exit_code, started) == (0, [])
    assert subjects(tmp_path) == ["chest-xray 1 passed its tests"]


def test_gate_missed_in_an_earlier_call_is_mailed_by_notify_alone(settings, registry, tmp_path):
    outcome, _ = carry_out("train", settings, tmp_path, only="train", train=(3, {"version": 1}))
    assert (outcome.exit_code, outcome.mail) == (3, None)
    outcome, started = carry_out("train", settings, tmp_path, only="notify")
    assert (outcome.exit_code, started) == (3, [])
    assert "gate" in subjects(tmp_path)[0]


def test_step_whose_turn_has_not_come_is_refused(settings, registry, tmp_path):
    with pytest.raises(UsageError, match="train comes first"):
        carry_out("train", settings, tmp_path, only="test", test=GOOD)


EXPLAIN = steps.Row("explain", "src/python/x:explain", "x.explain", "explain", ("train", "test"), "tests_failed")


def test_new_step_is_a_row_of_the_table(settings, registry, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "TABLE", (*steps.TABLE, EXPLAIN))
    assert steps.of_model(ModelPlan("chest-xray", "train", "")) == ["train", "test", "explain", "notify"]
    steps.known("explain")
    outcome, started = carry_out("train", settings, tmp_path, train=GOOD, test=GOOD, explain=(3, {"version": 1}))
    assert (started, outcome.exit_code) == (["train", "test", "explain"], 3)
    assert subjects(tmp_path) == ["chest-xray 1 failed its tests"]


@pytest.mark.parametrize(
    ("executor", "words"),
    [(Local, ["run", "src/python/x:explain", "--"]), (Docker, ["docker", "run"]), (Modules, ["-m", "x.explain"])],
)
def test_new_step_runs_wherever_the_others_do(settings, tmp_path, executor, words):
    Keys.of("", [], settings.registry.uri).file()
    job = Job(tmp_path, settings, "key", tmp_path)
    step = (executor() if executor is Modules else executor(job)).step(EXPLAIN, ["--json"])
    assert step.name == "explain"
    assert [word for word in step.argv if word in words] == words
    assert step.argv[-1] == "--json"


def test_what_makes_a_version_beside_checks_is_told_whose_it_awaits_and_does_not_wait_for_pants(
    settings, tmp_path, monkeypatch
):
    monkeypatch.delenv("PANTS_CONCURRENT", raising=False)
    Keys.of("", [], settings.registry.uri).file()
    job = Job(tmp_path, settings, "key", tmp_path, beside="a run")
    making, testing = ([executor(job).step(row, []) for executor in (Local, Docker)] for row in steps.rows("train"))
    local, docker = making
    assert (local.environment["TRAINYARD_AWAITS"], local.environment["PANTS_CONCURRENT"]) == ("a run", "True")
    assert "TRAINYARD_AWAITS=a run" in docker.argv
    local, docker = testing
    assert not {"TRAINYARD_AWAITS", "PANTS_CONCURRENT"} & set(local.environment)
    assert not any("TRAINYARD_AWAITS" in word for word in docker.argv)
