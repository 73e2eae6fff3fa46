"""A run keeps logs and results, and goes on where a killed one stopped."""

import json
import os
import sys

import pytest

from cli import Conflict, InfrastructureError, UsageError
from pipeline.runner import Run, said
from pipeline.step import Step


def quiet(text):
    """Hears what goes on."""


def step(name, code):
    return Step(name, [sys.executable, "-c", code], os.environ)


def start(folder):
    return Run(folder, "key", {"plan": {}}, quiet)


def test_step_keeps_its_log_its_exit_code_and_its_json_result(tmp_path):
    run = start(tmp_path)
    code = "import sys; print('working'); print('careful', file=sys.stderr); print('{\"version\": 3}'); sys.exit(3)"
    entry = run.step(step("train", code))
    assert (entry.exit_code, entry.result) == (3, {"version": 3})
    log = (tmp_path / "key" / "train.log").read_text()
    assert "working" in log
    assert "careful" in log


def test_output_that_is_no_json_is_no_result(tmp_path):
    assert start(tmp_path).step(step("train", "print('done')")).result is None


def test_killed_run_goes_on_from_its_first_unfinished_step(tmp_path):
    marker = tmp_path / "marker"
    count = f"open({str(marker)!r}, 'a').write('x'); print('[1]')"
    first = start(tmp_path)
    first.step(step("train", count))
    first.step(step("test", "raise SystemExit(6)"))
    os.close(first._lock)  # Killed here: `end` is never called, and the kernel frees the lock.
    second = start(tmp_path)
    assert second.step(step("train", count)).result == [1]
    assert marker.read_text() == "x"
    assert second.step(step("test", "print('[2]')")).result == [2]
    assert [entry.name for entry in second.state.steps] == ["train", "test"]


def test_ended_run_is_done_again(tmp_path):
    marker = tmp_path / "marker"
    count = f"open({str(marker)!r}, 'a').write('x')"
    for _ in range(2):
        run = start(tmp_path)
        run.step(step("train", count))
        run.end(0)
    assert marker.read_text() == "xx"
    assert json.loads((tmp_path / "key" / "run.json").read_text())["exit_code"] == 0


def test_damaged_run_file_starts_afresh(tmp_path):
    os.close(start(tmp_path)._lock)
    (tmp_path / "key" / "run.json").write_text("{")
    assert start(tmp_path).state.steps == []


def test_same_run_twice_at_once_is_a_conflict(tmp_path):
    first = start(tmp_path)
    with pytest.raises(Conflict, match="under way"):
        start(tmp_path)
    first.end(0)
    start(tmp_path)


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="file"):
        Run(tmp_path / "file", "key", {}, quiet)


def test_run_left_open_is_gone_on_with_and_tells_what_was_carried_out(tmp_path):
    first = start(tmp_path)
    first.step(step("train", "print('{\"version\": 3}'); raise SystemExit(3)"))
    first.leave()
    second = start(tmp_path)
    assert second.entry("train").exit_code == 3
    with pytest.raises(UsageError, match="test comes first"):
        second.entry("test")


def test_step_that_cannot_start_is_told_in_run_json_and_in_its_log(tmp_path):
    class NoEngine:
        def prepare(self):
            raise InfrastructureError("Docker can't be used.")

        def conclude(self, exit_code):
            raise AssertionError("nothing was started")

    run = start(tmp_path)
    assert run.step(Step("train", ["true"], os.environ, NoEngine())).exit_code == 6
    assert run.entry("train").exit_code == 6
    assert said(tmp_path / "key" / "train.log") == "Docker can't be used."
