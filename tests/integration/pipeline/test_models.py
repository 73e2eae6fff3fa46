"""`pipeline run` of several models, as processes; what they train and test with is a stand-in."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from cli import Exit
from tests.small_repository import TESTED, Yard

FAILED = "echo '{\"version\": 7}'; exit 3"


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Model `a` is trained by the file a.py, `b` by b.py, both by both.py."""
    yard = Yard(tmp_path)
    yard.models(a="a.py", b="b.py")
    graph = json.loads((yard.scene / "graph").read_text())
    for target in graph:
        if target["sources"] in (["a.py"], ["b.py"]):
            target["sources"].append("both.py")
    (yard.scene / "graph").write_text(json.dumps(graph))
    (yard.root / "trainyard.toml").write_text('[model]\nname = "a"\n')
    (yard.root / "models/chest_xray/model.toml").unlink()
    yard.commit(both="")
    return yard


def run(yard: Yard, *arguments: str, since: str = "") -> tuple[int, dict[str, Any], str]:
    code, out, err = yard.call("run", f"--since={since}", "--no-check", "--json", *arguments)
    return code, json.loads(out.splitlines()[-1]) if out else {}, err


def of(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(model for model in result["models"] if model["name"] == name)


def entry(yard: Yard, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((yard.root / f".trainyard/registry/{name}/pipeline/state.json").read_text())
    return found


def test_one_that_fails_does_not_stop_the_other_and_neither_is_begun_again_by_an_unrelated_push(yard: Yard) -> None:
    first = yard.git("rev-parse", "HEAD")
    yard.does(train_a=FAILED)
    code, result, err = run(yard)
    assert code == Exit.GATE
    assert yard.carried_out() == ["a:train:0", "b:train:0", "b:test_model:0"]
    assert (of(result, "a")["exit_code"], of(result, "b")["exit_code"]) == (3, 0)
    assert of(result, "a")["run"] != of(result, "b")["run"]
    assert "error: a: Step train failed" in err
    assert "b: train: version 7" in err
    assert "next: ./pants run src/python/promote -- run --model b --version 7 --unchecked\n" in err
    # Unrelated, then what trains a.
    yard.commit(readme="Edited.\n")
    code, result, _ = run(yard)
    assert (code, yard.carried_out()) == (Exit.OK, [])
    assert of(result, "a")["reason"].startswith(f"train was carried out at {first[:12]}: it missed its gate")
    assert (of(result, "b")["pipeline"], of(result, "b")["base"]) == (None, first)
    yard.does(train_a=(yard.scene / "train").read_text())
    second = yard.commit(a="better")
    code, result, _ = run(yard, since=first)
    assert (code, yard.carried_out()) == (Exit.OK, ["a:train:0", "a:test_model:0"])
    # It was never carried out well before.
    assert of(result, "a")["base"] == first
    assert (entry(yard, "a")["done"]["commit"], entry(yard, "a")["failed"]) == (second, None)
    # A commit that is done is not done again, but for whoever says so.
    assert run(yard)[0] == Exit.OK
    assert yard.carried_out() == []
    run(yard, "--again", "--model", "b")
    assert yard.carried_out() == ["b:train:0", "b:test_model:0"]


def test_retry_skips_what_is_done_and_goes_on_where_infrastructure_failed(yard: Yard) -> None:
    yard.does(test_model_a="exit 6", train_b=FAILED)
    code, result, err = run(yard)
    assert code == Exit.INFRASTRUCTURE, "before a missed gate, which no retry mends"
    assert (result["exit_code"], of(result, "b")["exit_code"]) == (6, 3)
    assert f"runs resume {of(result, 'a')['run']}` resumes it" in err
    assert yard.carried_out() == ["a:train:0", "a:test_model:0", "b:train:0"]
    yard.does(test_model_a=TESTED)
    code, result, _ = run(yard)
    assert (code, yard.carried_out()) == (Exit.OK, ["a:test_model:0"])
    assert of(result, "b")["pipeline"] is None


def test_bug_is_told_before_all_else(yard: Yard) -> None:
    yard.does(train_a="exit 6", train_b="exit 1")
    assert run(yard)[0] == Exit.BUG


def test_version_whose_tests_broke_off_is_tested_and_not_made_again(yard: Yard) -> None:
    yard.does(test_model_a="exit 2")
    run(yard, "--model", "a")
    yard.carried_out()
    yard.does(test_model_a=TESTED)
    yard.commit(readme="Edited.\n")
    _, result, _ = run(yard, "--model", "a")
    assert yard.carried_out() == ["a:test_model:0"]
    assert "version 7 was made at" in of(result, "a")["reason"]


def test_json_has_each_models_outcome_and_the_strongest_in_the_old_fields(yard: Yard) -> None:
    base = yard.git("rev-parse", "HEAD")
    yard.commit(tests_of_a="changed", b="changed")
    yard.does(test_model_a="echo '{\"version\": 3}'; exit 3")
    code, result, _ = run(yard, since=base)
    assert code == Exit.GATE
    assert (result["pipeline"], result["version"], result["exit_code"]) == ("train", 7, 0)
    assert of(result, "a") | {"reason": "", "run": ""} == {
        "name": "a",
        "pipeline": "test",
        "reason": "",
        "base": base,
        "owed": "test",
        "exit_code": 3,
        "version": 3,
        "mail": None,
        "run": "",
    }
    listed = {run["model_name"]: run for run in yard.runs()}
    assert (listed["a"]["plan"]["pipeline"], listed["b"]["plan"]["pipeline"]) == ("test", "train")
    assert listed["a"]["key"] == of(result, "a")["run"]
    assert listed["a"]["checked"] is False
    _, table, _ = yard.call("runs", "list")
    assert {tuple(line.split()[i] for i in (1, 2, 5)) for line in table.splitlines()[1:]} == {
        ("failed", "test", "a"),
        ("succeeded", "train", "b"),
    }


def test_versions_of_what_was_checked_before_count_as_checked(yard: Yard) -> None:
    code, _, err = yard.call("run", "--since=", "--checked", "--model=a")
    assert code == Exit.OK, err
    assert (yard.carried_out(), yard.started()[0]) == (["a:train:1", "a:test_model:1"], "train")


def test_checks_are_carried_out_once_for_all_models_and_not_repeated(yard: Yard) -> None:
    yard.does(train="exit 6")
    yard.call("run", "--since=")
    yard.does(train="exit 0; #")
    assert sorted(yard.started()) == ["lint", "train", "train"]
    yard.call("run", "--since=")
    assert yard.started().count("lint") == 1


def test_failed_check_stops_the_model_under_way_begins_no_other_and_names_the_way_out(yard: Yard) -> None:
    yard.does(lint="until [[ -e $SCENE/here ]]; do sleep 0.05; done; echo 'Would reformat: src/a.py'; exit 1")
    yard.does(train='touch "$SCENE/here"; exec sleep 3000')
    code, out, err = yard.call("run", "--since=", "--json")
    assert code == Exit.GATE
    assert "Not formatted: src/a.py; `scripts/lint --fix` formats them." in err
    assert "a: train: no version was made: the checks failed" in err
    assert yard.carried_out() == ["a:train:1"]
    result = json.loads(out.splitlines()[-1])
    assert (result["exit_code"], of(result, "a")["exit_code"]) == (3, 3)
    assert (of(result, "b")["exit_code"], of(result, "b")["run"]) == (None, None)


def test_failed_check_begins_no_test_of_a_model(yard: Yard) -> None:
    base = yard.git("rev-parse", "HEAD")
    yard.commit(tests_of_a="changed", b="changed")
    yard.does(lint="exit 1")
    code, result, _ = run(yard, "--check", "--parallel=2", since=base)
    assert (code, of(result, "a")["pipeline"], of(result, "a")["exit_code"]) == (3, "test", None)
    assert not any(step.startswith("a:") for step in yard.carried_out())


def test_step_by_step_for_one_model_as_a_build_server_does(yard: Yard) -> None:
    for step in ("train", "test", "notify"):
        code, _, err = yard.call("run", "--since=", "--model=b", f"--only={step}", "--or-everything")
        assert code == Exit.OK, err
    assert yard.carried_out() == ["b:train:1", "b:test_model:1"]
    assert entry(yard, "b")["done"]["commit"] == yard.git("rev-parse", "HEAD")
    code, _, err = yard.call("run", "--since=", "--model=b", "--only=train")
    assert (code, yard.carried_out()) == (Exit.OK, [])
    assert "not in the plan" in err


def test_demand_is_for_the_usual_model_or_the_one_that_is_named(yard: Yard) -> None:
    head = yard.git("rev-parse", "HEAD")
    run(yard, "--demand=test", since=head)
    run(yard, "--demand=retrain", "--model=b", since=head)
    assert yard.carried_out() == ["a:test_model:0", "b:retrain:0", "b:test_model:0"]
    code, _, err = run(yard, "--demand=retrain", "--model=c", since=head)
    assert code == Exit.USAGE
    assert "There is no model 'c'; those there are: a, b" in err


def test_what_is_asked_for_less_than_is_owed_leaves_the_rest_owed(yard: Yard) -> None:
    yard.does(train_a=FAILED)
    run(yard, "--model=a")
    run(yard, "--model=a", "--demand=test")
    assert yard.carried_out() == ["a:train:0", "a:test_model:0"]
    assert entry(yard, "a")["done"] is None
    yard.commit(tests_of_a="changed")
    run(yard, "--model=a")
    assert yard.carried_out() == ["a:train:0"]


def test_files_that_are_not_committed_are_no_base(yard: Yard) -> None:
    (yard.root / "a.py").write_text("not committed")
    run(yard, "--model=a")
    assert (entry(yard, "a")["done"], entry(yard, "a")["under_way"]) == (None, None)


# Notes when it begins and ends, and waits a moment; a training waits until the other one has begun.
NOTED = """
step=${2##*:}; me=$TRAINYARD_MODEL_NAME-$step
touch "$SCENE/running-$me"
ls "$SCENE" | grep -c ^running- >>"$SCENE/beside-$step"
"""
MEETING = (
    'touch "$SCENE/here-$TRAINYARD_MODEL_NAME"; until [[ -e $SCENE/here-a && -e $SCENE/here-b ]]; do sleep 0.02; done\n'
)
LEFT = 'rm "$SCENE/running-$me"\n'


def test_models_go_side_by_side_but_nothing_beside_what_measures_load(yard: Yard) -> None:
    trained, tested = (yard.scene / "train").read_text(), (yard.scene / "test_model").read_text()
    yard.does(train=NOTED + MEETING + LEFT + trained, test_model=NOTED + "sleep 0.3\n" + LEFT + tested)
    code, result, err = run(yard, "--parallel=2")
    assert code == Exit.OK, err
    assert {model["exit_code"] for model in result["models"]} == {0}
    assert (yard.scene / "beside-test_model").read_text().split() == ["1", "1"]


def test_signal_ends_all_that_is_under_way_and_the_next_call_goes_on(yard: Yard) -> None:
    yard.does(train='touch "$SCENE/here-$TRAINYARD_MODEL_NAME"; exec sleep 300')
    process = yard.start("run", "--since=", "--no-check", "--parallel=2")
    deadline = time.monotonic() + 60
    while not all((yard.scene / f"here-{name}").exists() for name in "ab"):
        assert time.monotonic() < deadline, "they never began"
        time.sleep(0.05)
    assert entry(yard, "a")["under_way"]["pid"] == process.pid
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert [run["status"] for run in yard.runs()] == ["unfinished"] * 2
    assert entry(yard, "a")["under_way"] is None


def test_model_that_is_under_way_elsewhere_is_not_begun_again_unless_it_changed(yard: Yard) -> None:
    from pipeline.ledger import Entry, Ledger, UnderWay, _now

    ledger = Ledger(str(yard.root / ".trainyard/registry"), "a")
    way = UnderWay(
        commit=yard.git("rev-parse", "HEAD"), pipeline="train", run="k", host="elsewhere", pid=1, beat=_now()
    )
    ledger._change(lambda entry: Entry(under_way=way))
    yard.commit(readme="Edited.\n")
    _, result, _ = run(yard)
    assert yard.carried_out() == ["b:train:0", "b:test_model:0"]
    assert of(result, "a")["reason"] == "train is under way (run k on elsewhere)"
    yard.commit(a="changed")
    run(yard, "--model=a")
    assert yard.carried_out() == ["a:train:0", "a:test_model:0"]


def test_step_that_the_kernel_kills_is_told_with_its_usual_cause_and_the_way_on(yard: Yard) -> None:
    yard.does(train_a="echo 'Training: 22/60 loss 0.700' >&2; kill -9 $$")
    code, result, err = run(yard, "--model=a")
    assert code == Exit.INFRASTRUCTURE
    assert "Step train failed: It was killed by signal 9; out of memory is its usual cause (" in err
    assert f"runs resume {of(result, 'a')['run']}` resumes it from epoch 22." in err


def test_unknown_revision_by_hand_is_a_mistake(yard: Yard) -> None:
    code, _, err = yard.call("run", "--since=HAED~1", CI="", JENKINS_URL="")
    assert (code, err) == (
        Exit.USAGE,
        "error: Revision 'HAED~1' is unknown here; correct it, or say --or-everything to plan everything (as a build "
        "server does).\n",
    )


def test_machine_without_git_is_told(yard: Yard, tmp_path: Path) -> None:
    for arguments in (["plan", "--since="], ["run", "--since="], ["runs", "list"], ["watch", "--once"]):
        code, _, err = yard.call(*arguments, PATH=str(tmp_path))
        assert (code, len(err.splitlines())) == (Exit.INFRASTRUCTURE, 1)
        assert err.startswith("error: The command `git` is not installed")
