"""The guard does what it was told when whoever started it is killed, and only then."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.pod.guard import Guard

# Tells a guard what its arguments say, and waits to be killed.
PARENT = """
import json, sys, time
from serving.pod.guard import Guard
guard = Guard()
for line in sys.argv[1:]:
    guard.tell(**json.loads(line))
print("told", flush=True)
time.sleep(600)
"""


@pytest.fixture
def killed():
    """killed(line, …): a program that told its guard `line`s of JSON was killed with all of its process group."""

    def kill(*lines):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", PARENT, *lines]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True) as parent:
            assert parent.stdout.readline() == b"told\n"
            os.killpg(parent.pid, signal.SIGKILL)

    return kill


@pytest.fixture
def program():
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def eventually(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def line(**told):
    return json.dumps(told)


def mark(file, word):
    """To run a command that adds a line to `file`."""
    return line(run=["sh", "-c", 'echo "$1" >> "$0"', str(file), word])


def test_process_is_killed(killed, program):
    killed(line(kill=program.pid))
    assert program.wait(10) == -signal.SIGKILL


def test_folder_is_removed_with_all_in_it(killed, tmp_path):
    (tmp_path / "clone" / "deep").mkdir(parents=True)
    (tmp_path / "clone" / "deep" / "model").write_text("large")
    killed(line(remove=str(tmp_path / "clone")))
    eventually(lambda: not (tmp_path / "clone").exists())


def test_commands_run_the_last_told_first(killed, tmp_path):
    marker = tmp_path / "marker"
    killed(mark(marker, "volume"), mark(marker, "container"))
    eventually(lambda: marker.exists() and marker.read_text() == "container\nvolume\n")


def test_what_fails_keeps_nothing_else_from_being_done(killed, tmp_path):
    marker = tmp_path / "marker"
    killed(
        mark(marker, "done"),
        line(run=[str(tmp_path / "no-such-program")]),
        line(run=["false"]),
        line(remove=str(tmp_path / "no-such-folder")),
    )
    eventually(marker.exists)


def test_process_that_was_forgotten_lives_on(killed, program, tmp_path):
    # Its number stands for a process that ended, and that another one has got since.
    marker = tmp_path / "marker"
    killed(mark(marker, "done"), line(kill=program.pid), line(forget=program.pid))
    eventually(marker.exists)
    assert program.poll() is None


def test_nothing_is_done_once_the_guard_is_dismissed(program, tmp_path):
    guard = Guard()
    guard.tell(kill=program.pid)
    guard.tell(remove=str(tmp_path))
    guard.tell(run=["touch", str(tmp_path / "marker")])
    guard.dismiss()  # returns when the guard has ended
    assert program.poll() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="sees in /proc when the guard is ready")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_meant_for_a_terminal_does_not_end_the_guard(number, tmp_path):
    guard = Guard()
    guard.tell(remove=str(tmp_path / "folder"))
    (tmp_path / "folder").mkdir()
    # It takes signals for nothing from its first lines on; before them it is a Python that starts.
    eventually(lambda: ignored(guard._process.pid, number))
    guard._process.send_signal(number)
    guard._process.stdin.close()
    assert guard._process.wait(10) == 0
    assert not (tmp_path / "folder").exists()


def ignored(pid, number):
    (mask,) = re.findall(r"^SigIgn:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(mask, 16) >> (number - 1) & 1 == 1
