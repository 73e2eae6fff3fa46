"""The scripts for people's shells and editors."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from docs.site import completions

ROOT = next(root for root in (Path.cwd(), *Path(__file__).parents) if (root / "scripts" / "completion").is_file())
# As a shell calls the function: with the line so far.
CALL = """
eval "$(scripts/completion)"
COMP_LINE=$1 COMP_POINT=${#1}
_trainyard
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def repository(tmp_path):
    """One with the scripts, whose ./pants tells the list of commands, and counts."""
    root = tmp_path / "our code"
    for name in ("scripts/completion", "scripts/setup-editor", "scripts/pre-commit"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (tmp_path / "list").write_text("\n".join(completions.lines()) + "\n")
    (root / "pants").write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path}/called"\ncat "{tmp_path}/list"\n')
    (root / "pants").chmod(0o755)
    for folder in ("src", "serving"):
        (root / folder).mkdir()
        (root / folder / "x.py").write_text("")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def git(root, *arguments):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True)


def completed(root, line):
    environment = {**os.environ, "XDG_CACHE_HOME": str(root.parent / "cache")}
    command = ["bash", "-euc", CALL, "bash", line]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("./pants r", ["run"]),
        # Bash has the part before the colon on its line already.
        ("./pants run src/python/training:t", ["train"]),
        ("./pants run serving/p", ["serving/pod"]),
        ("./pants run src/python/promote ", ["--"]),
        ("./pants run src/python/promote -- r", ["run", "rollback"]),
        ("./pants run src/python/promote -- run --dr", ["--dry-run"]),
        ("./pants run src/python/pipeline -- runs resume KEY --j", ["--json"]),
        ("./pants run nothing -- --", []),
        ("./pants run $(touch never) -- ", []),
    ],
)
def test_completion(repository, line, words):
    assert completed(repository, line) == words
    assert not (repository / "never").exists()


def test_list_is_made_once_and_again_behind_the_scenes_when_the_code_has_changed(repository):
    def called():
        return len((repository.parent / "called").read_text().splitlines())

    for _ in range(2):
        assert completed(repository, "./pants run serving/c") == ["serving/client"]
    assert called() == 1
    (repository / "src" / "x.py").write_text("changed = True\n")
    git(repository, "commit", "-qam", "second")
    with (repository.parent / "list").open("a") as listed:
        listed.write("serving/client\tnew\t--newer\n")
    assert completed(repository, "./pants run serving/c") == ["serving/client"]
    end = time.monotonic() + 20
    while completed(repository, "./pants run serving/client -- new --") != ["--newer"]:
        assert time.monotonic() < end
    assert called() >= 2


def test_editor_gets_an_environment_that_imports_as_pants_does(repository):
    locks = repository / "3rdparty" / "python"
    locks.mkdir(parents=True)
    # Nothing to fetch: what is tested is the environment around it.
    (locks / "ml.lock").write_text("")
    (repository / "src" / "python").mkdir()
    (repository / "src" / "python" / "ours.py").write_text("ANSWER = 42\n")
    # Where Pants writes generated code.
    generated = repository / "dist" / "codegen"
    generated.mkdir(parents=True)
    (generated / "made.py").write_text("ANSWER = 43\n")
    done = subprocess.run(["scripts/setup-editor"], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    python = repository / ".venv" / "ml" / "bin" / "python"
    said = subprocess.run(
        [python, "-c", "import made, ours, src; print(ours.ANSWER, made.ANSWER)"], capture_output=True, text=True
    )
    assert said.stdout == "42 43\n", said.stderr
    chosen = json.loads((repository / ".vscode" / "settings.json").read_text())["python.defaultInterpreterPath"]
    assert chosen == "${workspaceFolder}/.venv/ml/bin/python"

    refused = subprocess.run(["scripts/setup-editor", "nothing"], cwd=repository, capture_output=True, text=True)
    assert refused.returncode == 2 and "those there are: ml." in refused.stderr


def test_hook_stops_a_commit_that_ci_would_refuse(repository):
    (repository / "scripts" / "lint").write_text("#!/bin/sh\ngrep -q fine src/x.py\n")
    (repository / "scripts" / "lint").chmod(0o755)
    (repository / ".git" / "hooks").mkdir(exist_ok=True)
    (repository / ".git" / "hooks" / "pre-commit").symlink_to("../../scripts/pre-commit")
    commit = [
        "git",
        "-c",
        "user.name=T",
        "-c",
        "user.email=t@example.com",
        "-c",
        "commit.gpgsign=false",
        "commit",
        "-qam",
        "x",
    ]
    (repository / "src" / "x.py").write_text("broken\n")
    refused = subprocess.run(commit, cwd=repository, capture_output=True, text=True)
    assert refused.returncode == 1 and "scripts/lint --fix" in refused.stderr
    (repository / "src" / "x.py").write_text("fine\n")
    assert subprocess.run(commit, cwd=repository).returncode == 0
    assert not (repository.parent / "called").exists(), "tests are run where they are asked for"
    (repository / "src" / "x.py").write_text("fine, too\n")
    assert subprocess.run(commit, cwd=repository, env={**os.environ, "HOOK_TESTS": "1"}).returncode == 0
    assert "--changed-since=HEAD" in (repository.parent / "called").read_text()
