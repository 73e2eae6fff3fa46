"""`pipeline run` and `pipeline runs` as processes, in a small repository whose ./pants is a stand-in."""

import json
import signal
import time
from pathlib import Path

import pytest

from cli import Exit
from tests.small_repository import RECORD, TESTED, TRAINED, Yard


@pytest.fixture
def repository(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_run_keeps_who_asked_for_what_by_which_code_on_which_data(repository: Yard) -> None:
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


def test_text_shows_each_step_and_where_its_artifacts_lie(repository: Yard) -> None:
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


def test_failed_run_goes_on_from_the_step_that_failed(repository: Yard) -> None:
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


def test_killed_run_is_told_from_a_running_one_and_goes_on(repository: Yard) -> None:
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


def test_run_that_infrastructure_ended_goes_on_by_itself(repository: Yard) -> None:
    repository.does(test_model="exit 6")
    assert repository.run() == Exit.INFRASTRUCTURE
    repository.does(test_model=TESTED)
    assert repository.run() == Exit.OK
    assert repository.started() == ["train", "test_model", "test_model"]


def test_resuming_takes_the_plan_of_then(repository: Yard) -> None:
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


def test_run_about_other_files_is_not_resumed(repository: Yard) -> None:
    repository.does(train="exit 6")
    repository.run()
    (failed,) = repository.runs()
    (repository.root / "model.py").write_text("changed")
    code, _, err = repository.call("runs", "resume", failed["key"])
    assert code == Exit.USAGE
    assert failed["code"]["commit"][:12] in err
    assert repository.started() == ["train"]


def test_run_that_ended_well_is_not_resumed(repository: Yard) -> None:
    repository.run()
    code, _, err = repository.call("runs", "resume", repository.runs()[0]["key"])
    assert code == Exit.USAGE
    assert "has succeeded" in err


@pytest.mark.parametrize("verb", ["show", "resume"])
@pytest.mark.parametrize("key", ["no-such-run", "../repository", ""])
def test_unknown_key_is_one_clear_sentence(repository: Yard, verb: str, key: str) -> None:
    code, out, err = repository.call("runs", verb, key)
    assert (code, out) == (Exit.USAGE, "")
    assert err == (
        f"error: There is no run {key!r} in {repository.root}/.trainyard/runs; `runs list` shows those there are.\n"
    )


def test_run_of_an_earlier_trainyard_is_listed_and_shown_and_not_resumed(repository: Yard) -> None:
    """As version 1 kept it: no models, checks and model in one run."""
    folder = repository.root / ".trainyard/runs/0123456789ab-0123456789ab"
    folder.mkdir(parents=True)
    step = {"argv": ["x"], "started": "2026-01-01", "ended": "2026-01-01", "seconds": 2.0, "log": "l", "result": None}
    steps = [{"name": "lint", "exit_code": 0, **step}, {"name": "train", "exit_code": 3, **step}]
    state = {
        "key": folder.name,
        "plan": {"pipeline": "train", "reason": "r", "base": None, "changed": [], "affected": {"build": []}},
        "executor": "local",
        "requested_by": "Ada",
        "host": "h",
        "pid": 1,
        "checkout": "/c",
        "arguments": {"since": "", "executor": "local", "registry": None, "check": True, "only": None},
        "code": {"commit": "0123", "dirty": False},
        "started": "2026-01-01T00:00:00+00:00",
        "ended": "2026-01-01T00:01:00+00:00",
        "exit_code": 3,
        "steps": steps,
        "dataset": {"uri": "sample"},
        "model": {"version": 4, "parent": None, "seed": 1, "steps": None},
        "verdict": None,
        "artifacts": {"record": "somewhere"},
    }
    (folder / "run.json").write_text(json.dumps(state))
    (listed,) = repository.runs()
    assert {key: listed[key] for key in ("status", "plan", "artifacts")} == {
        "status": "failed",
        "plan": state["plan"],
        "artifacts": state["artifacts"],
    }
    _, page, _ = repository.call("runs", "show", folder.name)
    assert "version 4, parent -, seed 1" in page
    code, _, err = repository.call("runs", "resume", folder.name)
    assert (code, err) == (
        Exit.USAGE,
        f"error: Run {folder.name} was recorded by an older Trainyard; start a new run.\n",
    )


def test_folder_without_a_run_is_passed_over(repository: Yard) -> None:
    folder = repository.root / ".trainyard/runs/damaged"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    assert repository.runs() == []
