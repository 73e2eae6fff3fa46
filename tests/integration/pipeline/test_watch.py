"""`pipeline watch` on real local remotes; the commit itself carries a stand-in for ./pants, so nothing is patched."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli import Exit
from tests.forks import Program
from tests.small_repository import pipeline

# Notes how it was called and from where, then does what the file `does` of its commit says.
PANTS = """#!/usr/bin/env bash
set -eu
here=$(cd "$(dirname "$0")" && pwd)
echo "$(git -C "$here" rev-parse HEAD) $*" >>"$LOG"
source "$here/does"
"""


def git(folder, *arguments):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    command = ["git", *identity, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


class Laptop:
    """A remote, a colleague's clone that pushes to it, and the clone in which the watch runs."""

    def __init__(self, folder: Path) -> None:
        self.remote, self.colleague, self.mine = folder / "remote.git", folder / "colleague", folder / "mine"
        self.log = folder / "log"
        self.memory = self.mine / ".trainyard/watch/memory.json"
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.remote))
        git(folder, "clone", "-q", str(self.remote), str(self.colleague))
        (self.colleague / "pants").write_text(PANTS)
        (self.colleague / "pants").chmod(0o755)
        (self.colleague / ".gitignore").write_text(".trainyard/\n")
        self.first = self.push("exit 0")
        git(folder, "clone", "-q", str(self.remote), str(self.mine))

    def push(self, does: str, *options: str) -> str:
        git(self.colleague, "checkout", "-q", "-B", "main")
        (self.colleague / "does").write_text(does + "\n")
        git(self.colleague, "add", "-A")
        git(self.colleague, "commit", "-q", "--allow-empty", "-m", does)
        git(self.colleague, "push", "-q", *options, "origin", "main")
        return git(self.colleague, "rev-parse", "HEAD")

    def start(self, *options: str, **variables: str) -> Program:
        return pipeline(self.mine, "watch", *options, LOG=str(self.log), **variables)

    def once(self, *options: str) -> tuple[int, str]:
        process = self.start("--once", *options)
        _, said = process.communicate(timeout=60)
        return process.wait(), said

    def calls(self) -> list[list[str]]:
        """Every run so far: its commit, and the arguments of ./pants."""
        return [line.split(" ") for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def runs(self) -> list[tuple[str, str]]:
        """Every run so far: its commit and its base."""
        return [(call[0], word.removeprefix("--since=")) for call in self.calls() for word in call if "--since" in word]

    def wait_for(self, found) -> None:
        deadline = time.monotonic() + 30
        while not found():
            assert time.monotonic() < deadline, "it did not come"
            time.sleep(0.05)


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path)


def test_each_new_commit_is_run_since_the_last_that_went_well(laptop: Laptop) -> None:
    assert laptop.once()[0] == Exit.OK
    second = laptop.push("exit 0")
    assert laptop.once()[0] == Exit.OK
    assert laptop.runs() == [(laptop.first, ""), (second, laptop.first)]


def test_no_new_commit_is_no_run(laptop: Laptop) -> None:
    laptop.once()
    assert laptop.once()[0] == Exit.OK
    assert len(laptop.runs()) == 1


def test_failed_commit_is_not_tried_again_and_is_no_base(laptop: Laptop) -> None:
    laptop.once()
    red = laptop.push("exit 3")
    assert laptop.once()[0] == Exit.GATE
    assert laptop.once()[0] == Exit.OK
    green = laptop.push("exit 0")
    laptop.once()
    assert laptop.runs() == [(laptop.first, ""), (red, laptop.first), (green, laptop.first)]


@pytest.mark.parametrize("end", ["exit 6", "exit 5", "kill -9 $$"])
def test_what_may_pass_is_tried_again_after_a_while(laptop: Laptop, end: str) -> None:
    laptop.push(end)
    _, said = laptop.once("--interval", "60")
    assert "tried again in 120 seconds" in said
    laptop.once()
    assert len(laptop.runs()) == 1, "not before the while is over"
    memory = json.loads(laptop.memory.read_text())
    memory["origin main"]["not_before"] -= 120
    laptop.memory.write_text(json.dumps(memory))
    _, said = laptop.once("--interval", "60")
    assert len(laptop.runs()) == 2
    assert "tried again in 240 seconds" in said


def test_commit_pushed_away_stays_the_base(laptop: Laptop) -> None:
    """It is for `plan` to compare with it, or to plan everything where it is not there any more."""
    pushed_away = laptop.push("exit 0")
    laptop.once()
    git(laptop.colleague, "reset", "-q", "--hard", laptop.first)
    forced = laptop.push("exit 0 # again", "--force")
    laptop.once()
    assert laptop.runs() == [(pushed_away, ""), (forced, pushed_away)]


def test_users_work_tree_is_left_alone(laptop: Laptop) -> None:
    (laptop.mine / "does").write_text("exit 1 # my own\n")
    (laptop.mine / "new.txt").write_text("mine")
    before = [git(laptop.mine, *command) for command in (["status", "-s"], ["branch", "-a", "-v"], ["stash", "list"])]
    laptop.push("exit 0; # theirs")
    assert laptop.once()[0] == Exit.OK
    after = [git(laptop.mine, *command) for command in (["status", "-s"], ["branch", "-a", "-v"], ["stash", "list"])]
    assert after == before
    assert (laptop.mine / "does").read_text() == "exit 1 # my own\n"


def test_every_commit_finds_a_clean_checkout(laptop: Laptop) -> None:
    laptop.push('echo left >"$here/left"; echo changed >>"$here/does"')
    laptop.once()
    laptop.push('[[ ! -e $here/left ]] && git -C "$here" diff --quiet')
    assert laptop.once()[0] == Exit.OK


def test_damaged_checkout_is_made_anew(laptop: Laptop) -> None:
    laptop.once()
    (checkout,) = laptop.mine.glob(".trainyard/watch/checkout")
    # As a Git killed in the middle of its work leaves it.
    Path(git(checkout, "rev-parse", "--git-path", "index.lock")).write_text("")
    (checkout / "pants").unlink()
    laptop.push("exit 0 # again")
    assert laptop.once()[0] == Exit.OK
    assert len(laptop.runs()) == 2


def test_commit_without_pants_is_a_failure_like_another(laptop: Laptop) -> None:
    (laptop.colleague / "pants").chmod(0o644)
    laptop.push("exit 0 # not executable")
    code, said = laptop.once()
    assert code == Exit.USAGE
    assert "can't be started: Permission denied" in said
    assert laptop.once()[0] == Exit.OK


def test_run_gets_the_places_of_the_repository_it_is_for(laptop: Laptop) -> None:
    laptop.once("--executor", "docker", "--dataset", "xrays")
    (call,) = laptop.calls()
    assert call[1:5] == ["run", "src/python/pipeline", "--", "run"]
    flags = [word for word in call[6:] if word != "--or-everything"]
    given = dict(zip(flags[::2], flags[1::2], strict=True))
    assert given == {
        "--executor": "docker",
        "--registry": str(laptop.mine / ".trainyard/registry"),
        "--runs": str(laptop.mine / ".trainyard/runs"),
        "--dataset": str(laptop.mine / "xrays"),
    }


def test_branch_name_is_never_a_command(laptop: Laptop, tmp_path: Path) -> None:
    name = "a;touch${IFS}owned;$(touch${IFS}owned)"
    git(laptop.colleague, "push", "-q", "origin", f"main:refs/heads/{name}")
    assert laptop.once("--branch", name)[0] == Exit.OK
    assert len(laptop.runs()) == 1
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(
    "options", [("--remote", "nowhere"), ("--remote", "--all"), ("--branch=--force",), ("--branch=a b",)]
)
def test_what_is_no_remote_or_no_branch_is_refused(laptop: Laptop, options: tuple[str, ...]) -> None:
    code, said = laptop.once(*options)
    assert code == Exit.USAGE
    assert "Traceback" not in said
    assert laptop.runs() == []


def test_remote_out_of_reach_ends_a_single_look(laptop: Laptop) -> None:
    laptop.remote.rename(laptop.remote.with_name("away"))
    code, said = laptop.once()
    assert code == Exit.INFRASTRUCTURE
    assert said.startswith("error: Branch main can't be fetched from origin")


def test_remote_out_of_reach_is_said_once_and_tried_again(laptop: Laptop) -> None:
    away = laptop.remote.rename(laptop.remote.with_name("away"))
    process = laptop.start("--interval", "1")
    laptop.wait_for(lambda: "can't be fetched" in process.said()[1])
    time.sleep(2)
    away.rename(laptop.remote)
    laptop.wait_for(laptop.runs)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert (said.count("can't be fetched"), said.count("answers again")) == (1, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_run_under_way_and_the_watch(laptop: Laptop, tmp_path: Path, number: int) -> None:
    again = f'[[ ! -e "{tmp_path}/pid" ]] || exit 0; '
    laptop.push(f'{again}echo $$ >"{tmp_path}/pid"; trap "touch {tmp_path}/cleaned; exit 143" TERM; sleep 300 & wait')
    process = laptop.start()
    laptop.wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert said.splitlines()[-1].endswith("Stopped.")
    assert (tmp_path / "cleaned").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    # It was stopped, which is no failure: the next watch begins with it.
    laptop.once()
    assert len(laptop.runs()) == 2


def test_killed_watch_takes_its_run_along(laptop: Laptop, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a child that its parent was killed")
    laptop.push(
        f'echo $$ >"{tmp_path}/pid"; trap "touch {tmp_path}/cleaned; exit 143" TERM; sleep 9 2>/dev/null & wait'
    )
    process = laptop.start()
    laptop.wait_for((tmp_path / "pid").exists)
    process.kill()
    process.communicate(timeout=30)
    laptop.wait_for((tmp_path / "cleaned").exists)


def test_run_may_plan_everything_where_its_base_is_gone(laptop: Laptop) -> None:
    """Nobody is there to correct a revision."""
    laptop.once()
    assert "--or-everything" in laptop.calls()[0]


def test_git_that_is_too_old_is_told_in_one_sentence(laptop: Laptop, tmp_path: Path) -> None:
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    real = shutil.which("git")
    old.write_text(f'#!/bin/sh\n[ "$3" = version ] && echo git version 2.25.1 && exit\nexec {real} "$@"\n')
    old.chmod(0o755)
    process = laptop.start("--once", PATH=f"{old.parent}{os.pathsep}{os.environ['PATH']}")
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (
        Exit.INFRASTRUCTURE,
        "error: Watching a branch needs Git 2.29 or newer; this is 2.25. Install a newer one.\n",
    )


def test_second_watch_is_a_conflict(laptop: Laptop) -> None:
    laptop.push("sleep 300")
    process = laptop.start()
    laptop.wait_for(laptop.runs)
    code, said = laptop.once()
    assert code == Exit.CONFLICT
    assert "Another watch is running" in said
    process.terminate()
    process.communicate(timeout=30)


def test_damaged_memory_does_everything_again(laptop: Laptop) -> None:
    laptop.once()
    assert json.loads(laptop.memory.read_text())["origin main"]["succeeded"] == laptop.first
    laptop.memory.write_text("{")
    laptop.once()
    assert laptop.runs() == [(laptop.first, "")] * 2
