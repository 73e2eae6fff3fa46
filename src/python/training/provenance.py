"""Which code a model was made by."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from contracts.record import Code

_COMPONENTS = ("tensorflow", "keras", "numpy", "pillow", "scikit-learn")
_GIT_SECONDS = 10
# Set in an image, which carries no repository: its commit, and "-dirty" if that was not all.
COMMIT_VARIABLE = "TRAINYARD_COMMIT"
# Set by whoever starts the program elsewhere than as a process of this machine.
EXECUTOR_VARIABLE = "TRAINYARD_EXECUTOR"


def components() -> dict[str, str]:
    """The versions of what trains."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in _COMPONENTS}


def code() -> Code:
    """What trains, and the git commit: the image's, or the working directory's if it is Trainyard's."""
    if built_from := os.environ.get(COMMIT_VARIABLE):
        return Code(
            commit=built_from.removesuffix("-dirty"), dirty=built_from.endswith("-dirty"), components=components()
        )
    top = _git("rev-parse", "--show-toplevel")
    # A PEX may be started inside some other project: its commit would say nothing.
    if top is None or not (Path(top) / "src" / "python" / "training" / "train.py").is_file():
        return Code(components=components())
    changes = _git("status", "--porcelain")
    return Code(
        commit=_git("rev-parse", "HEAD"), dirty=None if changes is None else bool(changes), components=components()
    )


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=_GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
