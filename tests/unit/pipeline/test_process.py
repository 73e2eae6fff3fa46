"""How a step's process ends, what it is told of, and who shares the machine."""

import os
import sys
import threading
import time

import pytest

from cli import Exit
from pipeline import machine, process
from pipeline.checks import files_of_tests_ended
from pipeline.runner import Run
from pipeline.step import Step


def step(code, **more):
    return Step("train", [sys.executable, "-c", code], os.environ, **more)


@pytest.mark.parametrize(
    ("exit_code", "number"),
    [
        (0, None),
        (1, None),
        (3, None),
        (6, None),
        (127, None),
        (-9, 9),
        (137, 9),
        (247, 9),
        (143, 15),
        (-15, 15),
        (241, 15),
    ],
)
def test_signal_is_told_from_an_exit_code(exit_code, number):
    assert process.signal_of(exit_code) == number


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (9, "It was killed by signal 9; out of memory is its usual cause ("),
        (15, "It was killed by signal 15."),
        (11, "It was killed by signal 11."),
    ],
)
def test_step_that_a_signal_ends_says_so_instead_of_its_last_line(tmp_path, number, told):
    run = Run(tmp_path, "key", {}, lambda text: None)
    progress = "print('Training: 22/60 loss 0.7', file=sys.stderr, flush=True)"
    code = f"import os, sys; {progress}; os.kill(os.getpid(), {number})"
    entry = run.step(step(code))
    assert entry.exit_code == Exit.INFRASTRUCTURE
    assert process.said(tmp_path / "key/train.log").startswith(told)
    assert run.failure_of(entry).split(" (log")[0].endswith("runs resume key` resumes it from epoch 22.")


def test_failure_without_a_checkpoint_names_the_way_on_and_no_epoch(tmp_path):
    run = Run(tmp_path, "key", {}, lambda text: None)
    told = run.failure_of(run.step(step("raise SystemExit(6)")))
    assert "runs resume key` resumes it. (log" in told
    run = Run(tmp_path, "other", {}, lambda text: None)
    assert "resume" not in run.failure_of(run.step(step("raise SystemExit(3)")))


def test_program_that_is_not_there_is_told(tmp_path):
    run = Run(tmp_path, "key", {}, lambda text: None)
    entry = run.step(Step("lint", [str(tmp_path / "no-such-program")], os.environ))
    assert entry.exit_code == Exit.INFRASTRUCTURE
    assert "no-such-program can't be started: No such file" in run.failure_of(entry)


@pytest.fixture
def told_at_once(monkeypatch):
    monkeypatch.setattr(process, "_EVERY", 0)
    monkeypatch.setattr(process, "_LOOK", 0.02)


def test_progress_of_a_step_is_told_while_it_runs(tmp_path, told_at_once):
    told = "print(f'Training: {n}/2 loss 0.5', file=sys.stderr, flush=True); time.sleep(0.5)"
    code = f"import sys, time\nfor n in 1, 2: {told}"
    heard = []
    process.carry_out(step(code), tmp_path / "log", heard.append)
    assert heard == ["train: Training: 1/2 loss 0.5", "train: Training: 2/2 loss 0.5"]


def test_tests_are_counted_while_they_run(tmp_path, told_at_once):
    code = "import time; print('✓ tests/a.py:tests and 2 other files succeeded in 1.0s.', flush=True); time.sleep(0.5)"
    heard = []
    process.carry_out(step(code, units=5, counts=files_of_tests_ended), tmp_path / "log", heard.append)
    assert heard[-1] == "train: 3 of 5 done"


def test_memory_is_that_of_this_machine_or_less():
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert 0 < machine.memory_mib() <= total


def test_whoever_measures_is_alone_and_those_who_come_meanwhile_wait(tmp_path):
    inside, worst, order = [], [], []

    def take(name, alone):
        with machine.place(tmp_path, alone):
            inside.append(name)
            order.append(name)
            if "alone" in inside and len(inside) > 1:
                worst.append(list(inside))
            time.sleep(0.2)
            inside.remove(name)

    threads = []
    for name, alone in (("first", False), ("alone", True), ("late", False)):
        threads.append(threading.Thread(target=take, args=(name, alone)))
        threads[-1].start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert (worst, order) == ([], ["first", "alone", "late"])


def test_those_who_do_not_measure_go_side_by_side(tmp_path):
    with machine.place(tmp_path, False), machine.place(tmp_path, False):
        pass
