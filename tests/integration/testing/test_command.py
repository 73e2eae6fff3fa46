"""The command test_model, with a real clone: model server and adapter as processes."""

import json
import os
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from typer.testing import CliRunner

from cli import TrainyardError
from dataset import write_sample
from registry import Registry
from testing.__main__ import app
from testkit.models import write_classifier
from testkit.registries import keys_in
from tests import warm_server
from tests.forks import Program
from tests.model_folders import describe_model

LABELS = ["COVID", "Normal", "Viral Pneumonia"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder, images_per_class=10, seed=3)
    return folder


@pytest.fixture
def registry(tmp_path):
    """Version 1 is a candidate that answers at random, of the one model that the folder around describes."""
    describe_model(tmp_path)
    opened = Registry.open(str(tmp_path / "registry"), "chest-xray", keys_in(tmp_path))
    record = opened.create("train", labels=LABELS, image_size=32, signature={"inputs": {}, "outputs": {}})
    opened.publish(record.version, write_classifier(tmp_path / "model", LABELS, 32, seed=5))
    return opened


def test_model(tmp_path, sample, *arguments, suites=None):
    """`suites` is a folder of other model tests. The command is forked, and so is its clone's model server."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "TF_CPP_MIN_LOG_LEVEL": "2"}
    module, more = ("tests.integration.testing.with_suites", [str(suites)]) if suites else ("testing", [])
    command = [module, *more, "--registry", str(tmp_path / "registry"), "--dataset", str(sample), *arguments]
    return Program(*command, environment=environment, folder=tmp_path, before=warm_server.within).ended(240)


test_model.__test__ = False  # the command's own name, not a test


def test_model_that_guesses_is_rejected_with_reasons_and_everything_is_kept(tmp_path, sample, registry):
    own = "def test_own(answers):\n    assert answers\ndef test_broken():\n    {}['x']\n"
    describe_model(tmp_path, tests__test_own_py=own, limits_toml="[gates]\nmin_recall = 0.6\n")
    result = test_model(tmp_path, sample, "--mail", "--json")
    assert result.returncode == 3, result.stderr
    # Where the settings say, which are those of the folder that it is called from.
    mails = sorted(mail.read_text() for mail in (tmp_path / ".trainyard" / "outbox").glob("*.eml"))
    assert [mail.count("Subject: chest-xray 1 failed its tests") for mail in mails] == [1, 0]
    assert "Subject: chest-xray 1: broken model tests" in mails[1]
    verdict = json.loads(result.stdout)
    own = {test["name"].rpartition("::")[2]: test for test in verdict["tests"] if test["suite"] == "chest-xray"}
    assert {name: test["outcome"] for name, test in own.items()} == {"test_own": "passed", "test_broken": "broken"}
    assert [fault["file"] for fault in verdict["broken"]] == ["models/chest_xray/tests/test_own.py"]
    assert any("(by min_recall of [gates] in models/chest_xray/limits.toml)" in said for said in verdict["reasons"])
    # Our own lines: how far it is, the figures, what comes next; none of pytest's.
    assert "Model tests: " in result.stderr and "Once the reason is gone: ./pants run" in result.stderr
    assert "as served" in result.stderr and "===" not in result.stderr and "/suites/" not in result.stderr
    assert verdict["passed"] is False
    assert any("accuracy" in reason for reason in verdict["reasons"])
    assert "Version 1 failed its tests" in result.stderr
    record = registry.record(1)
    assert record.state == "rejected"
    assert record.verdicts[-1].reasons == verdict["reasons"]
    reports = tmp_path / "registry" / "chest-xray" / "reports" / "1"
    assert json.loads((reports / "verdict.json").read_text())["reasons"] == verdict["reasons"]
    assert "accuracy" in (reports / "test.html").read_text()
    suite = ElementTree.parse(reports / "junit.xml").getroot().find("testsuite")
    ended = [test["outcome"] for test in verdict["tests"]]
    assert int(suite.get("failures")) == ended.count("failed") + ended.count("broken") > 1
    # The next command names the model, wherever its name came from.
    again = test_model(tmp_path, sample)
    assert (again.returncode, again.stdout) == (2, "")
    assert "test_model -- --version 1 --model chest-xray --registry" in again.stderr


def test_model_whose_file_was_changed_after_training_is_refused_by_name(tmp_path, sample, registry):
    changed = tmp_path / "registry" / "chest-xray" / "testing" / "1" / "saved_model.pb"
    changed.chmod(0o644)
    changed.write_bytes(changed.read_bytes() + b"x")
    result = test_model(tmp_path, sample)
    assert result.returncode == 4
    assert "saved_model.pb" in result.stderr
    assert "Traceback" not in result.stderr
    assert registry.record(1).state == "candidate"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version", "9"], 2, "Version 9"),
        (["--dataset", "nowhere"], 4, "nowhere"),
        (["--executor", "moon"], 2, "'moon'"),
        (["--registry", "empty"], 2, "no version"),
        (["--model", "lungs"], 2, "There is no model 'lungs'; those there are: chest-xray"),
    ],
)
def test_mistake_is_one_sentence(tmp_path, sample, registry, arguments, code, said, monkeypatch):
    """Before any clone starts, so in this process; that an error ends as one sentence is tests/unit/cli's matter."""
    monkeypatch.chdir(tmp_path)
    place = ["--registry", str(tmp_path / "registry"), "--dataset", str(sample)]
    result = CliRunner().invoke(app, [*place, *arguments])
    assert isinstance(result.exception, TrainyardError), result.output
    assert result.exception.exit_code == code
    assert said in str(result.exception)
    assert not (tmp_path / "registry" / "chest-xray" / "reports").exists()


KILL_THE_CLONE = """
import gc
from serving.pod import LocalPod

def kill_the_clone():
    # One that was given up has no processes any more.
    for pod in [one for one in gc.get_objects() if type(one) is LocalPod]:
        for process in list(pod._processes.values()):
            process.kill()
            process.wait(30)
"""


@pytest.mark.parametrize(
    ("suite", "code"),
    [
        ("import os, signal\ndef test_it(answers):\n    os.kill(os.getpid(), signal.SIGTERM)\n", 143),
        ("import os, signal\ndef test_it(answers):\n    os.kill(os.getpid(), signal.SIGINT)\n", 130),
        (KILL_THE_CLONE + "def test_it(classify):\n    kill_the_clone()\n    classify(b'')\n", 6),
        (KILL_THE_CLONE + "def test_it():\n    kill_the_clone()\n", 6),
    ],
    ids=["terminated", "interrupted", "clone killed in a test", "clone killed after the last answer"],
)
def test_what_is_not_the_models_doing_is_no_verdict(tmp_path, sample, registry, suite, code):
    suites = tmp_path / "suites"
    suites.mkdir()
    (suites / "test_it.py").write_text(suite)
    result = test_model(tmp_path, sample, "--json", suites=suites)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert registry.record(1).state == "candidate"
    assert registry.record(1).verdicts == []
    assert not (tmp_path / "registry" / "chest-xray" / "reports").exists()


@pytest.mark.parametrize(
    ("suite", "name", "how"),
    [
        ("import os\ndef test_it(answers):\n    os._exit(0)\n", "test_it", "with exit code 0"),
        ("import os\nos._exit(3)\n", "", "with exit code 3"),
        (
            "import os, signal\ndef test_it():\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
            "test_it",
            "by SIGSEGV",
        ),
    ],
    ids=["in a test", "at its import", "by a crash"],
)
def test_test_that_ends_the_program_is_at_fault_and_leaves_nothing_running(
    tmp_path, sample, registry, suite, name, how
):
    suites = tmp_path / "suites"
    suites.mkdir()
    (suites / "test_it.py").write_text(suite)
    result = test_model(tmp_path, sample, "--mail", "--json", suites=suites)
    assert result.returncode == 2, result.stderr
    test = f"src/python/testing/suites/test_it.py{'::' + name if name else ''}"
    assert f"{test}: it ended the program that runs the tests, {how}" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr and result.stderr.count("Testing version 1") == 1
    told = json.loads(result.stdout)
    assert (told["version"], told["passed"], told["broken"][0]["name"]) == (1, None, name)
    (mail,) = (tmp_path / ".trainyard" / "outbox").glob("*.eml")
    assert "broken model tests" in mail.read_text()
    assert (registry.record(1).state, registry.record(1).verdicts) == ("candidate", [])


def test_test_that_goes_wrong_by_itself_rejects_no_model_and_is_told(tmp_path, sample, registry):
    suites = tmp_path / "suites"
    suites.mkdir()
    (suites / "test_it.py").write_text("def test_it(answers):\n    {}['x']\n")
    result = test_model(tmp_path, sample, "--mail", "--json", suites=suites)
    assert result.returncode == 2, result.stderr
    assert "The model tests are at fault, not version 1: src/python/testing/suites/test_it.py::test_it" in result.stderr
    told = json.loads(result.stdout)
    assert (told["version"], told["passed"], told["broken"][0]["name"]) == (1, None, "test_it")
    assert registry.record(1).state == "candidate"
    assert registry.record(1).verdicts == []
    (mail,) = (tmp_path / ".trainyard" / "outbox").glob("*.eml")
    assert "Subject: chest-xray 1: broken model tests" in mail.read_text()
