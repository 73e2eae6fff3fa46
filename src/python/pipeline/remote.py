"""A branch of a Git remote, and a checkout of it that is nobody's work tree."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from cli import InfrastructureError, UsageError
from cli.git import git

# A remote that neither answers nor refuses must not hold a poll for ever.
_FETCH_SECONDS = 300
# The first that fetches without leaving FETCH_HEAD behind.
_GIT = (2, 29)


class Unreachable(InfrastructureError):
    """The remote did not answer, or has no such branch (yet)."""


class Branch:
    """`branch` of `remote`, as the repository at `root` can fetch it.

    Raises:
        UsageError: there is no such remote, or the branch's name is none.
        InfrastructureError: Git is not installed, or too old.
    """

    def __init__(self, root: Path, remote: str, branch: str) -> None:
        self.root, self.remote, self.branch = root, remote, branch
        _must_be_new_enough(root)
        # Names come from outside; whatever Git could read as a flag or a pattern is no name.
        if remote.startswith("-") or _git(root, "remote", "get-url", "--", remote).returncode:
            known = ", ".join(_git(root, "remote").stdout.split()) or "none"
            raise UsageError(
                f"There is no remote {remote!r} here; `git remote add` it, or name another (now: {known})."
            )
        if branch.startswith("-") or _git(root, "check-ref-format", f"refs/heads/{branch}").returncode:
            raise UsageError(f"{branch!r} can't be the name of a branch; name one of {remote}'s.")

    def fetch(self) -> str:
        """The commit that the branch is at now, fetched.

        Raises:
            Unreachable: it can't be had.
        """
        # A ref of our own: the user's branches, remote-tracking ones and FETCH_HEAD stay as they are.
        mine = f"refs/trainyard/watch/{self.branch}"
        wanted = f"+refs/heads/{self.branch}:{mine}"
        try:
            quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--refmap="]
            done = _git(self.root, "fetch", *quiet, "--", self.remote, wanted, timeout=_FETCH_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unreachable(f"{self.remote} did not answer within {_FETCH_SECONDS} seconds.") from None
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[0].removeprefix("fatal: ")
            raise Unreachable(f"Branch {self.branch} can't be fetched from {self.remote}: {said.rstrip('.')}.")
        return _git(self.root, "rev-parse", "--verify", f"{mine}^{{commit}}").stdout.strip()

    def check_out(self, commit: str, folder: Path) -> None:
        """Makes `folder` a clean work tree at `commit`; what Git ignores there (Pants' caches) stays.

        Raises:
            InfrastructureError: it can't be written.
        """
        if not self._update(folder, commit):
            # A kill may have left locks and half a tree: begin anew.
            _git(self.root, "worktree", "remove", "--force", "--force", str(folder))
            shutil.rmtree(folder, ignore_errors=True)
            _git(self.root, "worktree", "prune")
            added = _git(self.root, "worktree", "add", "--quiet", "--force", "--detach", str(folder), commit)
            if added.returncode:
                raise InfrastructureError(f"{commit[:12]} can't be checked out in {folder}: {added.stderr.strip()}.")

    def _update(self, folder: Path, commit: str) -> bool:
        if not (folder / ".git").is_file():
            return False
        commands = (["checkout", "--quiet", "--force", "--detach", commit], ["clean", "-ffdq"])
        return all(_git(folder, *command).returncode == 0 for command in commands)


def _must_be_new_enough(root: Path) -> None:
    told = _git(root, "version").stdout
    found = re.search(r"(\d+)\.(\d+)", told)
    if found and (int(found[1]), int(found[2])) < _GIT:
        raise InfrastructureError(
            f"Watching a branch needs Git {'.'.join(map(str, _GIT))} or newer; this is {found[0]}. Install a newer one."
        )


def _git(folder: Path, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    # Nobody is there to type a password, and the user's hooks are not meant for this checkout.
    environment = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes", **os.environ, "GIT_TERMINAL_PROMPT": "0"}
    hooks = ["-c", f"core.hooksPath={os.devnull}"]
    return git(folder, *hooks, *arguments, environment=environment, timeout=timeout)
