"""What a plan comes to, step by step, so that a build server can give each step a stage of its own."""

from pathlib import Path

from cli import UsageError
from pipeline.plan import Plan
from pipeline.steps import Step, check_steps

CHECKS = ("lint", "unit-tests", "package")
NAMES = (*CHECKS, "train", "retrain", "test", "notify")


def checks(root: Path, made: Plan) -> list[Step]:
    """The steps that check what `made` is about; none where nothing changed."""
    return check_steps(root, made.affected) if made.base is None or made.changed else []


def names(root: Path, made: Plan) -> list[str]:
    """The steps that `made` asks for, in order."""
    model = [] if made.pipeline is None else [made.pipeline, "test", "notify"]
    # The pipeline "test" has its name from the one step that it makes.
    return list(dict.fromkeys([step.name for step in checks(root, made)] + model))


def known(name: str | None) -> None:
    """Raises UsageError where no plan ever asks for a step of this name."""
    if name is not None and name not in NAMES:
        raise UsageError(f"Step {name!r} is not known; use one of {', '.join(NAMES)}.")
