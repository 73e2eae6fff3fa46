"""What a model test may do to the process that it runs in, seen from outside."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BEGIN = """\
import os, signal, sys, time
from testing import apart
apart.begin()
if died := apart.died():
    print(f"died in {died.file}::{died.name} with {died.code}", flush=True)
    sys.exit(9)
apart.tell(version=3)
apart.tell(file="test_a.py", name="test_it")
"""


def started(text, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + text], env=environment, stdout=subprocess.PIPE, text=True, **options
    )


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("raise SystemExit", 0, ""),
        # What a test forks is none of the program's business.
        ("if os.fork() == 0:\n    os._exit(7)\nos.wait()", 0, ""),
        ("if os.fork() == 0:\n    sys.exit(7)\nos.wait()\nos._exit(0)", 9, "died in test_a.py::test_it with 0\n"),
        ("os._exit(0)", 9, "died in test_a.py::test_it with 0\n"),
        ("os._exit(4)", 9, "died in test_a.py::test_it with 4\n"),
        ("os.kill(os.getpid(), signal.SIGABRT)", 9, "died in test_a.py::test_it with -6\n"),
        ("apart.tell(file='', name='')\nos._exit(1)", 9, "died in :: with 1\n"),
    ],
)
def test_end_of_the_program_is_its_own_or_told(text, code, said):
    process = started(text)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("to_group", [False, True], ids=["to it alone", "to its group"])
def test_signal_reaches_the_program_once(number, to_group):
    text = f"""
times = []
signal.signal({int(number)}, lambda *_: times.append(1))
print("ready", flush=True)
while not times:
    time.sleep(0.01)
time.sleep(0.3)
sys.exit(20 + len(times))
"""
    process = started(text, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, number) if to_group else process.send_signal(number)
    assert process.wait(60) == 21


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells a child that its parent was killed")
def test_program_does_not_outlive_the_process_outside():
    process = started("print(os.getpid(), flush=True)\ntime.sleep(600)")
    child = int(process.stdout.readline())
    process.kill()
    for _ in range(500):
        if not (stat := Path(f"/proc/{child}/stat")).exists() or stat.read_text().split()[2] == "Z":
            break
        time.sleep(0.02)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("it goes on")


@pytest.mark.parametrize(("file", "code", "cause"), [("test_a.py", -signal.SIGKILL, "memory"), ("", 1, "exit code 1")])
def test_what_no_test_did_may_be_tried_again(file, code, cause):
    from cli import InfrastructureError
    from testing.apart import Died

    with pytest.raises(InfrastructureError, match=cause):
        Died(2, file, "test_it", code).fault()
