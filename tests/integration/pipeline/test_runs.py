"""`pipeline run` and `pipeline runs` as processes, in a small repository whose ./pants is a stand-in."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli import Exit

# The graph has one file, which trains. A step notes that it was started, and does what a file of its name says.
PANTS = """#!/usr/bin/env bash
if [[ $1 == peek ]]; then
  echo '[{"address": "//:model", "target_type": "file", "tags": ["trigger:train"], "sources": ["model.py"]}]'
else
  step=${2##*:}
  echo "$step" >>"$SCENE/started"
  source "$SCENE/$step"
fi
"""
RECORD = {
    "version": 7,
    "state": "candidate",
    "parent": 3,
    "seed": 11,
    "dataset": {"uri": "sample", "fingerprint": "f00d", "images": 9, "statistics": {"mean": 0.5}},
    "code": {"components": {"tensorflow": "2.21"}},
    "steps": [{"name": "fit", "started": "s", "ended": "e", "seconds": 1.0}],
}
TRAINED = f"echo '{json.dumps(RECORD)}'"
TESTED = """echo '{"version": 7, "passed": true}'"""


class Repository:
    def __init__(self, folder: Path) -> None:
        self.root, self.scene = folder / "repository", folder / "scene"
        self.root.mkdir()
        self.scene.mkdir()
        (self.root / "pants").write_text(PANTS)
        (self.root / "pants").chmod(0o755)
        (self.root / "model.py").write_text("")
        (self.root / ".gitignore").write_text(".trainyard/\n")
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-qm", "first")
        self.does(train=TRAINED, test_model=TESTED)

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True)

    def does(self, **steps: str) -> None:
        for step, script in steps.items():
            (self.scene / step).write_text(script + "\n")

    def started(self) -> list[str]:
        """Every step so far."""
        file = self.scene / "started"
        return file.read_text().split() if file.exists() else []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        path = os.pathsep.join(p for p in sys.path if p)
        environment = {**os.environ, "SCENE": str(self.scene), "PYTHONPATH": path, "TRAINYARD_REQUESTED_BY": "Ada"}
        command = [sys.executable, "-m", "pipeline", *arguments]
        return subprocess.Popen(
            command, cwd=self.root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def call(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def run(self) -> int:
        return self.call("run", "--since=", "--no-check")[0]

    def runs(self) -> list[dict]:
        code, out, err = self.call("runs", "list", "--json")
        assert code == Exit.OK, err
        return json.loads(out.splitlines()[-1])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_run_keeps_who_asked_for_what_by_which_code_on_which_data(repository: Repository) -> None:
    assert repository.run() == Exit.OK
    (listed,) = repository.runs()
    shown = json.loads(repository.call("runs", "show", listed["key"], "--json")[1].splitlines()[-1])
    assert shown == listed
    assert (shown["status"], shown["requested_by"], shown["executor"]) == ("succeeded", "Ada", "local")
    assert (shown["arguments"]["since"], shown["arguments"]["check"]) == ("", False)
    assert shown["code"]["dirty"] is False
    assert len(shown["code"]["commit"]) == 40
    assert shown["code"]["components"]["python"].startswith("3.11")
    assert shown["dataset"] == RECORD["dataset"]
    model = shown["model"]
    assert (model["version"], model["parent"], model["seed"]) == (7, 3, 11)
    assert (model["components"], model["steps"]) == ({"tensorflow": "2.21"}, RECORD["steps"])
    assert [step["name"] for step in shown["steps"]] == ["train", "test"]
    assert all(step["started"] <= step["ended"] and step["seconds"] >= 0 for step in shown["steps"])
    home = f"{repository.root}/.trainyard/registry/chest-xray"
    assert shown["artifacts"]["model"] == f"{home}/testing/7"
    assert shown["artifacts"]["record"] == f"{home}/records/7.json"
    assert Path(shown["artifacts"]["log of train"]).read_text().strip() == json.dumps(RECORD)


def test_text_shows_each_step_and_where_its_artifacts_lie(repository: Repository) -> None:
    repository.run()
    (run,) = repository.runs()
    _, table, _ = repository.call("runs", "list")
    assert table.splitlines()[1].split()[:4] == [run["key"], "succeeded", "train", "7"]
    _, page, _ = repository.call("runs", "show", run["key"][:15])
    for expected in (
        "requested by  Ada",
        "version 7, parent 3, seed 11",
        "sample f00d",
        run["artifacts"]["log of test"],
    ):
        assert expected in page
    assert [line.split()[0] for line in page.splitlines() if line.startswith(("train ", "test "))] == ["train", "test"]


def test_failed_run_goes_on_from_the_step_that_failed(repository: Repository) -> None:
    repository.does(test_model="exit 3")
    assert repository.run() == Exit.GATE
    (failed,) = repository.runs()
    assert (failed["status"], failed["exit_code"]) == ("failed", 3)
    repository.does(test_model=TESTED)
    code, out, err = repository.call("runs", "resume", failed["key"], "--json")
    assert code == Exit.OK, err
    assert json.loads(out.splitlines()[-1])["version"] == 7
    assert repository.started() == ["train", "test_model", "test_model"]
    (resumed,) = repository.runs()
    assert (resumed["status"], resumed["started"]) == ("succeeded", failed["started"])


def test_killed_run_is_told_from_a_running_one_and_goes_on(repository: Repository) -> None:
    repository.does(test_model="exec sleep 300")
    process = repository.start("run", "--since=", "--no-check")
    deadline = time.monotonic() + 30
    while "test_model" not in repository.started():
        assert time.monotonic() < deadline, "the test never began"
        time.sleep(0.05)
    (running,) = repository.runs()
    assert (running["status"], running["pid"]) == ("running", process.pid)
    code, _, err = repository.call("runs", "resume", running["key"])
    assert (code, err) == (
        Exit.CONFLICT,
        f"error: Run {running['key']} is under way (process {process.pid}); wait for it to end.\n",
    )
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    (killed,) = repository.runs()
    assert (killed["status"], [step["name"] for step in killed["steps"]]) == ("unfinished", ["train"])
    repository.does(test_model=TESTED)
    assert repository.call("runs", "resume", killed["key"])[0] == Exit.OK
    assert repository.started() == ["train", "test_model", "test_model"]


def test_run_that_infrastructure_ended_goes_on_by_itself(repository: Repository) -> None:
    repository.does(test_model="exit 6")
    assert repository.run() == Exit.INFRASTRUCTURE
    repository.does(test_model=TESTED)
    assert repository.run() == Exit.OK
    assert repository.started() == ["train", "test_model", "test_model"]


def test_resuming_takes_the_plan_of_then(repository: Repository) -> None:
    """Else a revision that has moved meanwhile would plan something else, or nothing."""
    repository.does(train="exit 6")
    (repository.root / "model.py").write_text("changed")
    assert repository.call("run", "--since=HEAD", "--no-check")[0] == Exit.INFRASTRUCTURE
    (failed,) = repository.runs()
    repository.does(train=TRAINED)
    assert repository.call("runs", "resume", failed["key"])[0] == Exit.OK
    (resumed,) = repository.runs()
    assert resumed["plan"] == failed["plan"]
    assert resumed["plan"]["changed"] == ["model.py"]


def test_run_about_other_files_is_not_resumed(repository: Repository) -> None:
    repository.does(train="exit 6")
    repository.run()
    (failed,) = repository.runs()
    (repository.root / "model.py").write_text("changed")
    code, _, err = repository.call("runs", "resume", failed["key"])
    assert code == Exit.USAGE
    assert failed["code"]["commit"][:12] in err
    assert repository.started() == ["train"]


def test_run_that_ended_well_is_not_resumed(repository: Repository) -> None:
    repository.run()
    code, _, err = repository.call("runs", "resume", repository.runs()[0]["key"])
    assert code == Exit.USAGE
    assert "ended well" in err


@pytest.mark.parametrize("verb", ["show", "resume"])
@pytest.mark.parametrize("key", ["no-such-run", "../repository", ""])
def test_unknown_key_is_one_clear_sentence(repository: Repository, verb: str, key: str) -> None:
    code, out, err = repository.call("runs", verb, key)
    assert (code, out) == (Exit.USAGE, "")
    assert err == (
        f"error: There is no run {key!r} in {repository.root}/.trainyard/runs; `runs list` shows those there are.\n"
    )


def test_folder_without_a_run_is_passed_over(repository: Repository) -> None:
    folder = repository.root / ".trainyard/runs/damaged"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    assert repository.runs() == []
