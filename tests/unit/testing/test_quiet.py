"""Load is measured by one run at a time on a machine."""

import subprocess
import sys
import tempfile
import threading

import pytest

from testing import quiet
from testing.subject import Subject
from tests.unit.testing.records import budget, record

HOLD = """
import sys
from testing import quiet
with quiet.alone():
    print("in", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def lock(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / "trainyard-measures-load.lock"


@pytest.fixture
def other():
    """Another program that measures, until it is told to end."""
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path), "TMPDIR": tempfile.gettempdir()}
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"in\n"
        yield program
        program.kill()


def test_measuring_waits_for_another_program_and_says_so(other, monkeypatch):
    measured, said, waits = [], [], threading.Event()

    def say(text):
        said.append(text)
        waits.set()

    monkeypatch.setattr("testing.subject.measure_load", lambda *_: measured.append(1))
    subject = Subject(None, None, record(2, ["a"]), None, [], budget(), say)
    thread = threading.Thread(target=subject.load)
    thread.start()
    assert waits.wait(30)
    assert measured == [] and "waiting" in said[0]
    other.stdin.close()
    thread.join(30)
    assert measured == [1]


def test_program_that_was_killed_keeps_nobody_waiting(other):
    other.kill()
    other.wait()
    with quiet.alone(pytest.fail):
        pass


def test_link_in_the_place_of_the_lock_is_not_followed(lock, tmp_path):
    lock.symlink_to(tmp_path / "victim")
    with quiet.alone():
        pass
    assert not (tmp_path / "victim").exists()
