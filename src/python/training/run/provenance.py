"""Which code a model was made by."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from cli.version import VERSION
from contracts.record import Code

_COMPONENTS = ("tensorflow", "keras", "numpy", "pillow", "scikit-learn")
_GIT_SECONDS = 10
_MARK = Path("src", "python", "training", "train.py")
# Set in an image, which carries no repository: its commit, and "-dirty" if that was not all.
COMMIT_VARIABLE = "TRAINYARD_COMMIT"
# Set by whoever starts the program elsewhere than as a process of this machine.
EXECUTOR_VARIABLE = "TRAINYARD_EXECUTOR"
# "0" in a run that left out the checks of its commit.
CHECKED_VARIABLE = "TRAINYARD_CHECKED"
# In a run whose checks are still under way: its key.
AWAITS_VARIABLE = "TRAINYARD_AWAITS"


@dataclass(frozen=True)
class Provenance:
    """What trains, and why its commit is unknown; empty where it is known."""

    code: Code
    no_commit: str = ""


class _GitFailed(Exception):
    """Its text says why."""


def components() -> dict[str, str]:
    """The versions of what trains."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in _COMPONENTS}


def _recorded() -> dict[str, str]:
    # Apart from what trains: another version of Trainyard with the same code comes to the same weights.
    return {"trainyard": VERSION} | components()


def provenance() -> Provenance:
    """What trains, and the Git commit: the image's, or the working directory's if it is Trainyard's."""
    if built_from := os.environ.get(COMMIT_VARIABLE):
        commit, dirty = built_from.removesuffix("-dirty"), built_from.endswith("-dirty")
        return Provenance(Code(commit=commit, dirty=dirty, components=_recorded()))
    try:
        # A PEX may be started inside some other project: its commit would say nothing.
        if not (Path(_git("rev-parse", "--show-toplevel")) / _MARK).is_file():
            raise _GitFailed("the working directory is not in a checkout of Trainyard")
        commit, dirty = _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain"))
    except _GitFailed as failed:
        return Provenance(Code(components=_recorded()), str(failed))
    return Provenance(Code(commit=commit, dirty=dirty, components=_recorded()))


def checked() -> bool:
    """Whether the commit's checks were carried out, as far as whoever started this says."""
    return os.environ.get(CHECKED_VARIABLE) != "0"


def awaits() -> str:
    """The run whose checks a version has to await; empty where it becomes a candidate at once."""
    return os.environ.get(AWAITS_VARIABLE, "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=_GIT_SECONDS)
    except OSError:
        raise _GitFailed("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise _GitFailed(f"git did not answer within {_GIT_SECONDS} s") from None
    if done.returncode == 0:
        return done.stdout.strip()
    if "safe.directory" in done.stderr:
        raise _GitFailed(
            "the checkout belongs to another user, so git does not read it; allow it with "
            f"`git config --global --add safe.directory {Path.cwd()}`"
        )
    if "not a git repository" in done.stderr:
        raise _GitFailed("the working directory is in no Git checkout")
    # Git's own words, without its "fatal: ".
    line = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
    raise _GitFailed(f"git {arguments[0]} failed: {line.removeprefix('fatal: ')}")
