"""Runs steps as processes of this machine."""

import os
import sys
from collections.abc import Sequence

from pipeline.executors.protocol import Job
from pipeline.pants import nested_environment
from pipeline.step import Step
from pipeline.steps import Row


class Local:
    """Starts a step as `./pants run TARGET -- …` in the checkout."""

    shares_machine = True

    def __init__(self, job: Job) -> None:
        self._job = job

    def images(self, rows: Sequence[Row], affected: Sequence[str]) -> Step | None:
        return None

    def step(self, row: Row, arguments: Sequence[str]) -> Step:
        argv = [str(self._job.root / "pants"), "run", row.target, "--", *arguments]
        environment = {**nested_environment(), **self._job.variables_of(row)}
        if self._job.beside and row.makes:
            # The daemon serves one call at a time, and the checks have it.
            environment["PANTS_CONCURRENT"] = "True"
        return Step(row.name, argv, environment, alone=row.measures)


class Modules:
    """Starts a step with this very interpreter: for a program that carries all the steps' code itself."""

    shares_machine = True

    def images(self, rows: Sequence[Row], affected: Sequence[str]) -> Step | None:
        return None

    def step(self, row: Row, arguments: Sequence[str]) -> Step:
        return Step(row.name, [sys.executable, "-m", row.module, *arguments], os.environ, alone=row.measures)
