"""What a place that steps run in has to be able to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.step import Step
from pipeline.steps import Row
from settings import Settings


@dataclass(frozen=True)
class Job:
    """What steps are to be started for."""

    # The checkout, the settings of the model that it is about, and the key of its run.
    root: Path
    settings: Settings
    key: str
    # Of the run; what an executor has to write for a step lies there.
    folder: Path
    # The tag of images that were made for this very call; empty to take those that are there.
    tag: str = ""
    # Variables that each step gets beside our own.
    variables: Mapping[str, str] = field(default_factory=dict)
    # The run (its key) whose checks go on beside the step that makes a version; empty where none do.
    beside: str = ""

    def variables_of(self, row: Row) -> dict[str, str]:
        awaits = {"TRAINYARD_AWAITS": self.beside} if self.beside and row.makes else {}
        return {**self.variables, **awaits}


class Steps(Protocol):
    """Makes steps that run in one place."""

    # Whether steps of several models, and what they measure, share this machine.
    shares_machine: bool

    def images(self, rows: Sequence[Row], affected: Sequence[str]) -> Step | None:
        """The step that makes the images which `rows` run in, and those that a change affects; None where none are."""

    def step(self, row: Row, arguments: Sequence[str]) -> Step:
        """The step of `row`, called with `arguments`.

        Raises:
            UsageError, InfrastructureError: something that it needs is not there.
        """
