import json
import os
import subprocess
import sys

import pytest

from cli import EXIT_CODES, Conflict, DataRefused, Exit, GateNotPassed, InfrastructureError, UsageError
from cli.version import VERSION

PROGRAM = """
import typer
from cli import command_line, print_json, run
import cli
app = command_line("demo", "Shows something.", ["demo --fail Conflict"])

@app.command()
def demo(fail: str = ""):
    if fail == "bug":
        raise KeyError("x")
    if fail:
        raise getattr(cli, fail)("It went wrong; do [this].")
    print_json({"answer": "grüße"})

run(app)
"""


def demo(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("kind", [UsageError, GateNotPassed, DataRefused, Conflict, InfrastructureError])
def test_error_is_one_sentence_and_its_exit_code(kind):
    result = demo("--fail", kind.__name__)
    assert result.returncode == kind.exit_code
    assert result.stderr == "error: It went wrong; do [this].\n"
    assert result.stdout == ""


def test_bug_shows_a_traceback_and_leaves_with_its_own_code():
    result = demo("--fail", "bug")
    assert result.returncode == Exit.BUG
    assert "KeyError" in result.stderr
    assert "bug in Trainyard" in result.stderr


def test_result_is_the_last_line_of_stdout():
    result = demo()
    assert result.returncode == Exit.OK
    assert json.loads(result.stdout.splitlines()[-1]) == {"answer": "grüße"}


def test_unknown_flag_is_wrong_usage():
    assert demo("--what").returncode == Exit.USAGE


def test_help_shows_examples_and_every_exit_code():
    text = " ".join(demo("--help").stdout.split())
    assert "demo --fail Conflict" in text
    for code, meaning in EXIT_CODES.items():
        assert f"{int(code)} {meaning}" in text


def test_usage_error_names_the_call_through_pants(tmp_path):
    program = tmp_path / "demo.py"
    program.write_text(PROGRAM.replace("demo --fail", "./pants run src/demo -- --fail"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment["PEX"] = "/tmp/pants-sandbox-1/demo.pex"
    result = subprocess.run([sys.executable, program, "--what"], capture_output=True, text=True, env=environment)
    assert result.stderr.startswith("Usage: ./pants run src/demo -- [OPTIONS]\n"), result.stderr
    assert "Try './pants run src/demo -- --help'" in result.stderr


ENDING = """
import os, signal, time
from cli import command_line, run
app = command_line("demo", "Ends.", ["demo"])

@app.command()
def demo():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        print("cleaned up", flush=True)

run(app)
"""


def test_a_command_that_is_terminated_twice_cleans_up():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stdout, result.stderr) == (143, "cleaned up\n", "")


def test_help_ends_with_trainyards_version():
    assert demo("--help").stdout.rstrip().splitlines()[-1].strip() == f"Trainyard {VERSION}"
