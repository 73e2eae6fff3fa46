"""How a request ended, as text for a person: each model's version, what it is worth, and what to do next."""

from pathlib import Path

from pydantic import ValidationError

from cli import Exit, UsageError
from contracts.plan import ModelPlan
from contracts.record import Metrics
from contracts.run import ModelOutcome, RunState
from pipeline.execution import Execution
from pipeline.runs import Runs

_ENDS = {
    Exit.OK: "passed its tests",
    Exit.GATE: "fell short",
}


def lines(ended: Execution, folder: Path) -> list[str]:
    """The last lines of `run`, whose runs are kept in `folder`."""
    found = []
    for planned in ended.plan.asked:
        outcome = ended.outcomes.get(planned.name)
        if outcome is None:
            found.append(f"{planned.name}: {planned.pipeline} was not begun")
            continue
        checks_failed = ended.checks.exit_code == Exit.GATE
        state = _state(folder, outcome)
        found.append(_of_model(planned, outcome, state, checks_failed))
        if outcome.exit_code == Exit.OK and outcome.version:
            # Without it a version that was made without the checks is refused.
            more = "" if state is None or state.checked else " --unchecked"
            which = f"--model {planned.name} --version {outcome.version}{more}"
            found.append(f"  next: ./pants run src/python/promote -- run {which}")
    return found or ["No model work."]


def _of_model(planned: ModelPlan, outcome: ModelOutcome, state: RunState | None, checks_failed: bool) -> str:
    version = f"version {outcome.version}" if outcome.version else "no version"
    figures = _figures(state) if state else ""
    end = _ENDS.get(Exit(outcome.exit_code or 0), f"ended with {outcome.exit_code}")
    if checks_failed and outcome.exit_code == Exit.GATE and not outcome.mail:
        end = "is rejected" if outcome.version else "was made"
        return f"{planned.name}: {planned.pipeline}: {version} {end}: the checks failed"
    mail = f"; mail: {outcome.mail}" if outcome.mail else ""
    return f"{planned.name}: {planned.pipeline}: {version}{f' ({figures})' if figures else ''} {end}{mail}"


def _figures(state: RunState) -> str:
    """What the version is worth: as served where it was tested, else as trained."""
    served = state.verdict.get("metrics") if isinstance(state.verdict, dict) else None
    trained = (state.model.metrics or {}) if state.model else {}
    metrics = _metrics(served) or _metrics(trained.get("test"))
    if metrics is None:
        return ""
    recalls = {name: own.recall for name, own in metrics.per_class.items()}
    lowest = min(recalls, key=lambda name: recalls[name], default=None)
    told = f", lowest recall {recalls[lowest]:.3f} of {lowest}" if lowest is not None else ""
    return f"accuracy {metrics.accuracy:.3f}{told}"


def _metrics(found: object) -> Metrics | None:
    try:
        return Metrics.model_validate(found)
    except ValidationError:
        return None


def _state(folder: Path, outcome: ModelOutcome) -> RunState | None:
    try:
        return Runs(folder).find(outcome.run or "").state
    except UsageError:
        return None
