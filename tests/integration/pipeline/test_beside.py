"""Checks that go on while a model is trained: what a version may become meanwhile, and when they fail.

What trains is a stand-in that makes its version in a real registry; everything waits for files, and nothing for a time.
"""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli import Exit
from cli.errors import GateNotPassed
from contracts.record import Record
from promote import choice
from registry import Registry, UnknownVersion
from tests.forks import Program
from tests.small_repository import TESTED, Yard

# Called with what to do: "begin" takes a version and notes its number, "end" publishes it and prints its record.
_MAKER = """
import os
from pathlib import Path
from registry import Registry

scene = Path(os.environ["SCENE"])
registry, number = Registry.open(str(scene.parent / "repository/.trainyard/registry"), "chest-xray"), scene / "number"
if sys.argv[1] == "begin":
    awaits, checked = os.environ.get("TRAINYARD_AWAITS", ""), os.environ.get("TRAINYARD_CHECKED") != "0"
    number.write_text(str(registry.create("train", awaits=awaits, checked=checked).version))
else:
    print(registry.publish(int(number.read_text()), scene / "built").model_dump_json())
"""
_MAKE = f'{sys.executable} "$SCENE/maker.py"'
BEGIN, END = f"{_MAKE} begin || exit 1\n", f"{_MAKE} end || exit 1\n"
MADE = BEGIN + END
FAILS = "echo 'Would reformat: src/a.py'; exit 1"


def wait(name: str) -> str:
    return f"until [[ -e $SCENE/{name} ]]; do sleep 0.05; done\n"


def touch(name: str) -> str:
    return f'touch "$SCENE/{name}"\n'


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    yard = Yard(tmp_path)
    # A step's environment has no PYTHONPATH.
    (yard.scene / "maker.py").write_text(f"import sys\nsys.path[:0] = {sys.path!r}\n{_MAKER}")
    (yard.scene / "built").mkdir()
    (yard.scene / "built" / "saved_model.pb").write_bytes(b"graph")
    yard.does(train=MADE, test_model=touch("tested") + TESTED.replace("7", "1"))
    return yard


def run(yard: Yard, *arguments: str) -> tuple[int, dict[str, Any], str]:
    code, out, err = yard.call("run", "--since=", "--json", *arguments)
    (model,) = json.loads(out.splitlines()[-1])["models"]
    return code, model, err


def runs(yard: Yard) -> dict[str | None, dict[str, Any]]:
    """What is kept of each run, by its model; None is the checks'."""
    kept = [json.loads(file.read_text()) for file in (yard.root / ".trainyard/runs").glob("*/run.json")]
    return {run["model_name"]: run for run in kept}


def trained(yard: Yard) -> bool:
    """Whether the step that trains has ended, and the run has heard of it."""
    run = runs(yard).get("chest-xray")
    return bool(run and run["steps"])


def registry(yard: Yard) -> Registry:
    return Registry.open(str(yard.root / ".trainyard/registry"), "chest-xray")


def record(yard: Yard, version: int = 1) -> Record:
    return registry(yard).record(version)


def state(yard: Yard) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((yard.root / ".trainyard/registry/chest-xray/pipeline/state.json").read_text())
    return found


@contextmanager
def begun(yard: Yard, until: Callable[[], object]) -> Iterator[Program]:
    """A run that is under way, once `until` holds; it is killed on the way out, as by a power cut."""
    process = yard.start("run", "--since=")
    try:
        while not until():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_version_made_beside_the_checks_is_no_candidate_before_they_pass(yard: Yard) -> None:
    """The training waits for the checks to begin, and they for this test to have looked: they go side by side."""
    yard.does(lint=touch("checking") + wait("go") + touch("checked"), train=wait("checking") + MADE)
    with begun(yard, lambda: trained(yard)) as process:
        made = record(yard)
        assert (made.state, list(made.files), made.checked) == ("training", ["saved_model.pb"], True)
        with pytest.raises(UnknownVersion, match="awaits the checks of its commit"):
            registry(yard).check_files(1)
        with pytest.raises(GateNotPassed, match="awaits the checks of its commit"):
            choice.check(made, "promote")
        (yard.scene / "go").touch()
        _, err = process.communicate(timeout=200)
        assert process.returncode == Exit.OK, err
    assert made.awaits == runs(yard)[None]["key"]
    made = record(yard)
    assert (made.state, made.awaits, made.checked) == ("candidate", "", True)
    (told,) = (yard.root / ".trainyard/registry/chest-xray/journal").iterdir()
    times = [file.stat().st_mtime_ns for file in (yard.scene / "checked", told, yard.scene / "tested")]
    assert times == sorted(times), "first the checks passed, then it became a candidate, then it was tested"
    assert state(yard)["done"]["version"] == 1


def assert_rejected(yard: Yard) -> None:
    made = record(yard)
    assert (made.state, made.awaits, made.files) == ("rejected", "", {})
    assert "the checks of its commit failed: Step lint failed: Not formatted: src/a.py" in made.gate_reasons()[0]
    assert registry(yard).areas(1) == []
    assert not (yard.scene / "tested").exists()
    # That is no verdict on the model: a plan of the same commit has all of it before it.
    assert (state(yard)["done"], state(yard)["failed"], state(yard)["under_way"]) == (None, None, None)


def test_checks_that_fail_stop_a_training_and_reject_its_version_with_the_reason(yard: Yard) -> None:
    yard.does(lint=wait("begun") + FAILS, train=BEGIN + touch("begun") + "exec sleep 3000")
    code, model, err = run(yard)
    assert (code, model["exit_code"], model["version"]) == (Exit.GATE, Exit.GATE, 1)
    assert "Step lint failed: Not formatted: src/a.py" in err
    assert "chest-xray: train: version 1 is rejected: the checks failed" in err
    assert_rejected(yard)


def test_checks_that_fail_after_the_training_reject_its_version_and_a_resumed_run_trains_anew(yard: Yard) -> None:
    yard.does(lint=wait("trained") + FAILS, train=MADE + touch("trained"))
    assert run(yard)[0] == Exit.GATE
    assert_rejected(yard)
    made = runs(yard)["chest-xray"]
    assert (made["exit_code"], made["model"]["version"], "model" in made["artifacts"]) == (Exit.GATE, 1, False)
    yard.does(lint="true")
    code, _, err = yard.call("runs", "resume", made["key"])
    assert code == Exit.OK, err
    assert (record(yard).state, record(yard, 2).state) == ("rejected", "candidate")


def test_run_killed_while_a_version_awaits_its_checks_goes_on_and_trains_nothing_again(yard: Yard) -> None:
    yard.does(lint="exec sleep 3000")
    with begun(yard, lambda: trained(yard)):
        pass
    assert (record(yard).state, state(yard)["done"]) == ("training", None)
    yard.does(lint="true")
    code, _, err = run(yard)
    assert code == Exit.OK, err
    assert (yard.started().count("train"), record(yard).state) == (1, "candidate")


def test_run_killed_in_the_training_after_the_checks_passed_goes_on(yard: Yard) -> None:
    yard.does(train=BEGIN + "exec sleep 3000")
    with begun(yard, lambda: (run := runs(yard).get(None)) and run["ended"] and (yard.scene / "number").exists()):
        pass
    yard.does(train=END)
    code, _, err = run(yard)
    assert code == Exit.OK, err
    assert (yard.started().count("lint"), record(yard).state) == (1, "candidate")


def test_checks_that_could_not_be_carried_out_reject_nothing_and_left_out_after_all_are_told(yard: Yard) -> None:
    yard.does(lint="exit 6")
    code, model, _ = run(yard)
    assert (code, model["exit_code"]) == (Exit.INFRASTRUCTURE, Exit.INFRASTRUCTURE)
    assert (record(yard).state, bool(record(yard).awaits)) == ("training", True)
    assert run(yard, "--no-check")[0] == Exit.OK
    made = record(yard)
    assert (yard.started().count("train"), made.state, made.checked) == (1, "candidate", False)


def test_signal_ends_checks_and_training(yard: Yard) -> None:
    yard.does(lint=touch("checking") + "exec sleep 3000", train=BEGIN + touch("begun") + "exec sleep 3000")
    with begun(yard, lambda: all((yard.scene / file).exists() for file in ("checking", "begun"))) as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=200)
        assert process.returncode == 128 + signal.SIGTERM
    assert [run["ended"] for run in runs(yard).values()] == [None, None]
    assert record(yard).state == "training"
