"""A copy of this repository to push changes to. Whoever uses it depends on //:repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parents[1]


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

    def append(self, path: str, text: str) -> None:
        file = self.root / path
        file.write_text(file.read_text() + text)

    def module(self, name: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs one of this repository's programs in the copy."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        command = [sys.executable, "-m", name, *arguments]
        return subprocess.run(command, cwd=folder or self.root, env=environment, capture_output=True, text=True)

    def close(self) -> None:
        # Without its folder of pids the copy's daemon ends by itself.
        shutil.rmtree(self.root, ignore_errors=True)
