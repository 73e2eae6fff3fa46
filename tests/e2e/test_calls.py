"""Real calls of ./pants in a small checkout: what becomes of signals, a second call, a question on a terminal."""

import os
import pty
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
SECONDS = 120  # for what takes two; the machine may be busy

# A server that needs a moment to end, and has a child that nobody ends for it.
PROGRAM = """
import signal, subprocess, sys, time
if sys.argv[1:] == ["ask"]:
    print("you said", input("Go on? "), sys.stdin.isatty(), flush=True)
    sys.exit(4)

def end(*_):
    print("draining", flush=True)
    time.sleep(2)
    print("drained", flush=True)
    sys.exit(6)

signal.signal(signal.SIGTERM, end)
print("child", subprocess.Popen(["sleep", "600"]).pid, flush=True)
time.sleep(600)
"""
PANTS_TOML = """
[GLOBAL]
pants_version = "2.17.1"
backend_packages = ["pants.backend.python"]
pantsd_timeout_when_multiple_invocations = -1.0
process_execution_graceful_shutdown_timeout = 30
[python]
interpreter_constraints = ["CPython==3.11.*"]
[python-bootstrap]
search_path = ["<PATH>", "<PYENV>"]
[python-infer]
use_rust_parser = true
"""


class Call:
    """A call of ./pants whose output is a file, as long as it runs and after."""

    def __init__(self, root: Path, *arguments: str, **environment: str) -> None:
        self.log = root.parent / f"{time.monotonic_ns()}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["./pants", *arguments],
                cwd=root,
                env=os.environ | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def says(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.log.read_text())):
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("calls") / "checkout"
    shutil.copytree(HERE / "3rdparty/python", root / "3rdparty/python", ignore=shutil.ignore_patterns("BUILD"))
    shutil.copytree(HERE / "scripts/launch", root / "scripts/launch", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "pants", root / "pants")
    (root / "pants.toml").write_text(PANTS_TOML)
    for folder in ("app", "serving/adapter"):
        (root / folder).mkdir(parents=True)
        (root / folder / "server.py").write_text(PROGRAM)
        program = f'pex_binary(name="{Path(folder).name}", entry_point="server.py", execution_mode="venv")'
        (root / folder / "BUILD").write_text(f'python_sources(name="lib")\n{program}\n')
    yield root
    for file in root.glob(".pids/*/pantsd/pid"):
        os.kill(int(file.read_text()), signal.SIGTERM)


def alive(pid: int) -> bool:
    try:
        return "sleep" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("concurrent", ["", "True"])
def test_a_server_that_is_terminated_drains_and_leaves_nothing_and_its_code_counts(root: Path, concurrent: str) -> None:
    variables = {"PANTS_CONCURRENT": concurrent} if concurrent else {}
    server = Call(root, "run", "app", **variables)
    child = int(server.says(r"child (\d+)")[1])
    server.process.terminate()
    assert server.process.wait(SECONDS) == 6
    assert "drained" in server.log.read_text()
    assert not alive(child)


def test_a_second_call_says_for_which_it_waits_and_can_be_left(root: Path) -> None:
    first = Call(root, "run", "app")
    first.says("child")
    second, third = Call(root, "list", "app:"), Call(root, "run", "app")
    for call in (second, third):
        call.says(rf"`./pants run app` \(process {first.process.pid}\) runs in this checkout and comes first")
        call.says("Another pants invocation is running. Will wait forever")
    third.process.send_signal(signal.SIGINT)
    assert third.process.wait(20) != 0
    assert second.process.poll() is None
    first.process.terminate()
    assert first.process.wait(SECONDS) == 6
    assert second.process.wait(SECONDS) == 0
    assert "app:lib" in second.log.read_text()


def test_what_runs_for_hours_holds_nobody_up_and_waits_for_nobody(root: Path) -> None:
    first = Call(root, "run", "serving/adapter")
    child = int(first.says(r"child (\d+)")[1])
    held = Call(root, "run", "app")  # it holds the daemon, as the first one does not
    held.says("child")
    assert "comes first" not in held.log.read_text()
    second = Call(root, "run", "serving/adapter")
    second.says("child")
    for call in (first, held, second):
        call.process.terminate()
    assert [call.process.wait(SECONDS) for call in (first, held, second)] == [6, 6, 6]
    os.kill(child, signal.SIGKILL)  # what has left Pants looks after its children itself


@pytest.mark.parametrize(("target", "concurrent"), [("app", "False"), ("app", "True"), ("serving/adapter", "False")])
def test_a_question_on_a_terminal_is_answered_there(root: Path, target: str, concurrent: str) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(root)
        os.environ["PANTS_CONCURRENT"] = concurrent
        os.execv("./pants", ["./pants", "run", target, "--", "ask"])
    said = b""
    deadline = time.monotonic() + SECONDS
    while b"Go on?" not in said and time.monotonic() < deadline:
        said += os.read(terminal, 1000)
    os.write(terminal, b"yes\n")
    try:
        while data := os.read(terminal, 1000):
            said += data
    except OSError:  # how a terminal tells that nobody is left
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    assert b"you said yes True" in said
