"""What is wrong with a model's folder."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from cli.errors import UsageError
from models import files
from models.find import find
from models.model import Model

_LINE = re.compile(r"^\s*model\(\s*\)", re.MULTILINE)
# Builds, calls, exports and inspects a network; a program, since it stands above the models and takes seconds to load.
_NETWORK_CHECK = "training.networks.check"
_SECONDS = 900  # honest networks take some ten, and a minute or two on a busy machine


def problems(name: str, start: Path) -> list[str]:
    """A sentence for each thing that is wrong with model `name`; its network is looked at if the rest is right.

    Raises:
        UsageError: there is no such model.
    """
    model = find(name, start)
    found = of_files(model)
    return found or _of_network(model, start)


def of_files(model: Model) -> list[str]:
    """What is wrong with the files beside model.toml and limits.toml, which are right since they were read."""
    found = []
    build = model.folder / "BUILD"
    if not build.is_file() or not _LINE.search(build.read_text("utf-8", "replace")):
        found.append(f"{build} lacks the line `model()`, so that no push would train or test this model; add it.")
    if not (model.folder / files.CARD).is_file():
        found.append(
            f"{model.folder / files.CARD} is missing; say there what the model is for, and what it is not for."
        )
    for test in sorted(model.tests.rglob("*.py")) if model.tests else []:
        try:
            compile(test.read_bytes(), str(test), "exec")
        except (SyntaxError, ValueError) as error:
            found.append(f"{test} is not valid Python: {error}.")
    return found


def _of_network(model: Model, start: Path) -> list[str]:
    command = [sys.executable, "-m", _NETWORK_CHECK, "--model", model.name]
    try:
        done = subprocess.run(command, cwd=start, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return [
            f"The network of {model.name} is not built, asked and exported after {_SECONDS // 60} minutes; look for "
            "what waits or goes on for ever in its code."
        ]
    if done.returncode == 0:
        return []
    told = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        why = "; too little memory is the usual cause" if name == "SIGKILL" else ""
        return [f"The program that looks at the network of {model.name} was ended by {name}{why}; make it smaller."]
    if not told:
        raise UsageError(f"The network of {model.name} can't be looked at: {done.stderr.strip()[-300:]}")
    return told
