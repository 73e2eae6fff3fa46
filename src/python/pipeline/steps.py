"""All steps there are. A new one is a row of this table, and the program that it names.

The program's image is declared in infra/docker/BUILD; its Job is made of infra/k8s/jobs/<program>, or of what all Jobs
have in common where there is no such folder.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli import UsageError
from contracts.plan import ModelPlan, Plan

if TYPE_CHECKING:
    from notify import Kind

CHECKS = ("lint", "unit-tests", "package")
# The last of every pipeline: it has no program, and ends the run.
NOTIFY = "notify"


@dataclass(frozen=True)
class Row:
    name: str
    # The Pants target that runs it, and the module behind that target.
    target: str
    module: str
    # Its image's name and its Job's.
    program: str
    # Whose step it is; the table's order is theirs.
    pipelines: tuple[str, ...]
    # The mail to the owner where the model falls short in it.
    falls_short: "Kind"
    # Makes the version that the steps after it are about, and signs it: it alone gets the private key.
    makes: bool = False
    # Takes figures of load (latency, memory): no other step may run on the same machine.
    measures: bool = False


TABLE = (
    Row("train", "src/python/training:train", "training.train", "train", ("train",), "gate_missed", makes=True),
    Row(
        "retrain", "src/python/training:retrain", "training.retrain", "retrain", ("retrain",), "gate_missed", makes=True
    ),
    Row(
        "test",
        "src/python/testing:test_model",
        "testing",
        "test_model",
        ("train", "retrain", "test"),
        "tests_failed",
        measures=True,
    ),
)


def rows(pipeline: str | None) -> list[Row]:
    """The steps of a pipeline that have a program, in order."""
    return [row for row in TABLE if pipeline in row.pipelines]


def of_model(planned: ModelPlan) -> list[str]:
    """The names of the steps that a model's plan asks for, in order."""
    return [*(row.name for row in rows(planned.pipeline)), NOTIFY] if planned.pipeline else []


def of_checks(made: Plan) -> list[str]:
    """The names of the checks of what `made` is about; none where nothing changed."""
    if made.base is not None and not made.changed:
        return []
    needed = {"lint": True, "unit-tests": bool(made.affected.get("test")), "package": bool(made.affected.get("build"))}
    return [name for name in CHECKS if needed[name]]


def of_plan(made: Plan) -> list[str]:
    """The names of all steps that `made` asks for, of whatever model, in order."""
    wanted = {*of_checks(made), *(name for model in made.models for name in of_model(model))}
    return [name for name in names() if name in wanted]


def names() -> list[str]:
    return [*CHECKS, *(row.name for row in TABLE), NOTIFY]


def known(name: str | None) -> None:
    """
    Raises:
        UsageError: no plan ever asks for a step of this name.
    """
    if name is not None and name not in names():
        raise UsageError(f"Step {name!r} is not known; use one of {', '.join(names())}.")


def programs(needed: Iterable[Row]) -> Sequence[str]:
    """The images that steps run in."""
    return list(dict.fromkeys(row.program for row in needed))
