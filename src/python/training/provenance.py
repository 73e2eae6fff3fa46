"""Which code a model was made by."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from registry import Code

_COMPONENTS = ("tensorflow", "keras", "numpy", "pillow", "scikit-learn")
_GIT_SECONDS = 10


def code() -> Code:
    """The versions of what trains, and the git commit of the working directory where that is Trainyard's own."""
    components = {"python": platform.python_version()} | {name: metadata.version(name) for name in _COMPONENTS}
    top = _git("rev-parse", "--show-toplevel")
    # A PEX may be started inside some other project: its commit would say nothing.
    if top is None or not (Path(top) / "src" / "python" / "training" / "train.py").is_file():
        return Code(components=components)
    changes = _git("status", "--porcelain")
    return Code(
        commit=_git("rev-parse", "HEAD"), dirty=None if changes is None else bool(changes), components=components
    )


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=_GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
