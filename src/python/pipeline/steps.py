"""The steps of a pipeline, and how a step's command is started."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.graph import nested_environment

# A step's command: the Pants target that runs it, and the module behind that target.
COMMANDS = {
    "train": ("src/python/training:train", "training.train"),
    "retrain": ("src/python/training:retrain", "training.retrain"),
    "test": ("src/python/testing:test_model", "testing"),
}


class Container(Protocol):
    """Where a step runs, if not as a process of its own."""

    def prepare(self) -> None:
        """Clears the way; called before the step is started."""

    def conclude(self, exit_code: int) -> tuple[int, str]:
        """Removes the container, which may still run, and tells how it ended: exit code, and why if not by itself."""


@dataclass(frozen=True)
class Step:
    name: str
    argv: list[str]
    environment: Mapping[str, str]
    container: Container | None = None


Launcher = Callable[[str, list[str]], Step]


def pants_launcher(root: Path) -> Launcher:
    """Starts a step as `./pants run TARGET -- …` in the checkout at `root`."""
    pants = str(root / "pants")
    return lambda name, arguments: Step(name, [pants, "run", COMMANDS[name][0], "--", *arguments], nested_environment())


def module_launcher() -> Launcher:
    """Starts a step with this very interpreter: for a program that carries all the steps' code itself."""
    return lambda name, arguments: Step(name, [sys.executable, "-m", COMMANDS[name][1], *arguments], os.environ)


def check_steps(root: Path, affected: dict[str, list[str]]) -> list[Step]:
    """What is checked before a model is touched: the style and types of all code, and the affected targets."""
    pants = str(root / "pants")
    commands = {"lint": [str(root / "scripts" / "lint")]}
    if affected["test"]:
        commands["unit-tests"] = [pants, "test", *affected["test"]]
    if affected["build"]:
        commands["package"] = [pants, "package", *affected["build"]]
    return [Step(name, argv, nested_environment()) for name, argv in commands.items()]
