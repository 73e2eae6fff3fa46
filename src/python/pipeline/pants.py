"""Starts Pants beside the Pants that started this program, and tells what it found wrong with a tree."""

import os
import re
import subprocess
import sys
from pathlib import Path

from cli import InfrastructureError, TrainyardError, UsageError
from pipeline import layers

# The line that names what went wrong, among those that tell where in Pants.
_TELLING = re.compile(r"(?:native_engine\.)?(?P<error>[A-Za-z]*(?:Error|Exception|Failure)\b.*)")
# What is no fault of the tree's: the machine, the network, a Pants that was killed.
_PASSING = re.compile(
    r"OSError|No space left|Connection|Timeout|timed out|MemoryError|PermissionError|Interrupted|pantsd|Too many open"
)


def run_pants(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Pants in `root`, also from inside a `pants run`: see `nested_environment`."""
    try:
        return subprocess.run(
            [str(root / "pants"), *arguments], cwd=root, env=nested_environment(), capture_output=True, text=True
        )
    except OSError as error:
        raise InfrastructureError(f"{root / 'pants'} can't be started: {error.strerror}.") from None


def nested_environment() -> dict[str, str]:
    """An environment in which Pants starts although another Pants runs in the same checkout.

    A Pants daemon serves one call at a time, and `pants run` of this very program holds it. A second daemon with files
    of its own stays warm between calls, where PANTS_CONCURRENT would start cold every time.
    """
    environment = _without(("PEX_", "PYTHONPATH"))
    environment["PANTS_SUBPROCESSDIR"] = ".pants.d/nested/pids"
    environment["PANTS_WORKDIR"] = ".pants.d/nested/workdir"
    # What is planned, built and promoted keeps to the layers; a developer's own call only warns (src/python/BUILD).
    environment["TRAINYARD_LAYERS"] = "deny"
    return environment


def fresh_environment() -> dict[str, str]:
    """An environment in which a Pants of another checkout starts as from a shell, not as inside this program's."""
    own = ("PEX_", "PYTHONPATH", "PANTS_CONCURRENT", "PANTS_SUBPROCESSDIR", "PANTS_WORKDIR")
    return _without(own)


def _without(beginnings: tuple[str, ...]) -> dict[str, str]:
    """This program's environment without such variables, and with the PATH that Pants gave it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(beginnings)}
    # A program that Pants runs has its own scripts first on PATH, and Pants looks for interpreters there: with another
    # PATH for every state of this program's code, it would lay out TensorFlow anew for each.
    own = os.path.realpath(Path(sys.prefix) / "bin")
    parts = environment.get("PATH", "").split(os.pathsep)
    environment["PATH"] = os.pathsep.join(part for part in parts if os.path.realpath(part) != own)
    return environment


def failure(root: Path, said: str) -> TrainyardError:
    """What kept Pants from reading the build graph of `root`, by what it said of it.

    A tree that it does not take is whoever's who made it (UsageError); anything else, a retry may mend.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
    if refused := layers.sentences(said):
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        return UsageError(f"{refused[0]}{more}")
    telling = [found["error"] for line in lines if (found := _TELLING.match(line))]
    sentence = f"Pants can't read the build graph of {root}: {(telling or lines)[-1].rstrip('.')}."
    if telling and not _PASSING.search(said):
        return UsageError(sentence)
    return InfrastructureError(sentence)
