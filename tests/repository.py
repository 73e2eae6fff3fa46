"""A copy of this repository to push changes to. Whoever uses it depends on //:repository."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests import forks
from tests.forks import Program

_HERE = Path(__file__).parents[1]
# Of the command `pipeline`, which is asked most.
forks.imports("tests.pipeline_imports")


class Repository:
    """With everything in a first commit, in a new folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(_HERE, root, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.pyc", "*.pex", "dist"))
        (root / ".gitignore").write_text(".pants.d/\n.pids/\n__pycache__/\ndist/\n")
        (root / "README.md").write_text("A copy.\n")
        self.git("init", "-q", "-b", "main")
        self._first = self.commit("everything")

    def begin(self) -> None:
        """The branch main is the first commit again, and nothing else lies there but what Git ignores."""
        self.git("checkout", "-q", "-f", "-B", "main", self._first)
        self.git("clean", "-q", "-f", "-d")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str) -> str:
        """The hash of a new commit of all that changed."""
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def aside(self, edit: Callable[[], object]) -> str:
        """The hash of a commit beside the branch: the tree as it is, but for what `edit` does to it."""
        here = self.git("rev-parse", "HEAD")
        edit()
        commit = self.commit("aside")
        self.git("reset", "-q", "--hard", here)
        return commit

    def append(self, path: str, text: str) -> None:
        file = self.root / path
        file.write_text(file.read_text() + text)

    def module(self, name: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs one of this repository's programs in the copy."""
        return Program(name, *arguments, folder=folder or self.root).ended(600)

    def close(self) -> None:
        # Without its folder of pids the copy's daemon ends by itself.
        shutil.rmtree(self.root, ignore_errors=True)
