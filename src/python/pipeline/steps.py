"""The steps of a pipeline, and how a step's command is started."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# A step's command: the Pants target that runs it, and the module behind that target.
COMMANDS = {
    "train": ("src/python/training:train", "training.train"),
    "retrain": ("src/python/training:retrain", "training.retrain"),
    "test": ("src/python/testing:test_model", "testing"),
}


@dataclass(frozen=True)
class Step:
    name: str
    argv: list[str]


Launcher = Callable[[str, list[str]], list[str]]


def pants_launcher(root: Path) -> Launcher:
    """Starts a step as `./pants run TARGET -- …` in the checkout at `root`."""
    return lambda name, arguments: [str(root / "pants"), "run", COMMANDS[name][0], "--", *arguments]


def module_launcher() -> Launcher:
    """Starts a step with this very interpreter: for a program that carries all the steps' code itself."""
    return lambda name, arguments: [sys.executable, "-m", COMMANDS[name][1], *arguments]


def check_steps(root: Path, affected: dict[str, list[str]]) -> list[Step]:
    """What is checked before a model is touched: the style and types of all code, and the affected targets."""
    pants = str(root / "pants")
    steps = [Step("lint", [str(root / "scripts" / "lint")])]
    if affected["test"]:
        steps.append(Step("unit-tests", [pants, "test", *affected["test"]]))
    if affected["build"]:
        steps.append(Step("package", [pants, "package", *affected["build"]]))
    return steps
