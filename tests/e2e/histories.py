"""The ways by which a change gets from the last green build to HEAD, as real Git histories of a scratch repository."""

import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# Of the runner's machine nothing may show in a scratch repository.
_ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}

Edit = Callable[[Path], None]


@dataclass
class Scratch:
    """A repository whose branch `main` is set back to a commit tagged `start` for every history."""

    root: Path

    @classmethod
    def of(cls, root: Path, files: list[str]) -> "Scratch":
        for path in [*files, "unrelated.txt"]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            # Long enough for Git to see a rename, and no file like another.
            (root / path).write_text(f"{path}\n" * 20)
        made = cls(root)
        made.git("init", "-q", "-b", "main")
        made.git("config", "gc.auto", "0")
        made.commit("first")
        made.git("tag", "first")
        return made

    def git(self, *arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=self.root, env=_ENVIRONMENT, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def begin(self, without: Iterable[str] = ()) -> None:
        """Starts afresh; with a commit that lacks the files `without`."""
        self.git("checkout", "-q", "-f", "-B", "main", "first")
        self.git("clean", "-q", "-f", "-d")
        for file in without:
            (self.root / file).unlink()
        self.commit("start")
        self.git("tag", "-f", "start")

    def reset(self) -> None:
        self.git("checkout", "-q", "-f", "-B", "main", "start")

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def unrelated(self, text: str) -> str:
        (self.root / "unrelated.txt").write_text(text)
        return self.commit(text)

    def branch(self, edit: Edit) -> None:
        """The change on a branch of its own, with `main` gone on meanwhile and checked out again."""
        self.git("checkout", "-q", "-B", "topic")
        edit(self.root)
        self.commit("the change")
        self.git("checkout", "-q", "main")
        self.unrelated("main went on")


# Each takes the scratch repository through its history and returns the last green commit and the checkout to plan in.


def first_build(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    edit(scratch.root)
    scratch.commit("the change")
    return "", scratch.root


def several_commits(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    """The change was red, and so were the commits after it."""
    edit(scratch.root)
    scratch.commit("the change")
    scratch.unrelated("one more")
    scratch.unrelated("and another")
    return "start", scratch.root


def merge(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    scratch.branch(edit)
    scratch.git("merge", "-q", "--no-ff", "-m", "merged", "topic")
    return "start", scratch.root


def squash(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    scratch.branch(edit)
    scratch.git("merge", "-q", "--squash", "topic")
    scratch.commit("squashed")
    return "start", scratch.root


def branch_while_main_went_on(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    """On a branch, compared with the name of the branch that it left, which has gone on since."""
    scratch.branch(edit)
    scratch.git("checkout", "-q", "topic")
    return "main", scratch.root


def merge_of_a_pull_request(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    """The last green build was of a merge that the build server had made itself, and that nobody pushed."""
    scratch.git("checkout", "-q", "-B", "topic")
    scratch.unrelated("of the branch")
    scratch.git("checkout", "-q", "--detach", "main")
    scratch.git("merge", "-q", "--no-ff", "-m", "build 1", "topic")
    green = scratch.git("rev-parse", "HEAD")
    scratch.git("checkout", "-q", "topic")
    edit(scratch.root)
    scratch.commit("the change")
    scratch.git("checkout", "-q", "--detach", "main")
    scratch.git("merge", "-q", "--no-ff", "-m", "build 2", "topic")
    return green, scratch.root


def revert_of_red(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    """The change never was green, and is gone again."""
    edit(scratch.root)
    scratch.commit("the change")
    scratch.git("revert", "--no-edit", "HEAD")
    return "start", scratch.root


def revert_of_green(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    edit(scratch.root)
    green = scratch.commit("the change")
    scratch.git("revert", "--no-edit", "HEAD")
    return green, scratch.root


def force_push(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    """The last green commit was pushed away."""
    green = scratch.unrelated("pushed away")
    scratch.reset()
    edit(scratch.root)
    scratch.commit("the change")
    return green, scratch.root


def force_push_that_takes_back(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    """The change was green, and is gone by a push that rewrites history."""
    edit(scratch.root)
    green = scratch.commit("the change")
    scratch.reset()
    scratch.unrelated("instead")
    return green, scratch.root


def shallow_clone(scratch: Scratch, edit: Edit) -> tuple[str, Path]:
    """The last green commit lies beyond the clone's edge."""
    green = scratch.git("rev-parse", "start")
    edit(scratch.root)
    scratch.commit("the change")
    clone = scratch.root.with_name("shallow")
    subprocess.run(["rm", "-rf", str(clone)], check=True)
    scratch.git("clone", "-q", "--depth", "1", scratch.root.as_uri(), str(clone))
    return green, clone
