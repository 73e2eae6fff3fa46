"""Runs as text for a person."""

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.run import RunState
from pipeline.runs import Kept

# In the place of a model's name, of a run that is about none.
_CHECKS = "(checks)"


def table(runs: Iterable[Kept]) -> str:
    """A line a run."""
    listed = list(runs)
    width = max([len(_CHECKS), *(len(_about(run.state)) for run in listed)])
    lines = [
        f"{'key':26} {'status':11} {'pipeline':9} {'version':>7} {'seconds':>8}  {'model':{width}}  "
        f"{'started':26} requested by"
    ]
    for run in listed:
        state = run.state
        version = state.model.version if state.model and state.model.version else "-"
        lines.append(
            f"{run.key:26} {run.status:11} {_pipeline(state):9} {version:>7} {run.seconds:8.1f}  "
            f"{_about(state):{width}}  {state.started or '-':26} {state.requested_by}"
        )
    return "\n".join(lines)


def page(run: Kept) -> str:
    """All that is worth reading of a run."""
    state = run.state
    plan, code, model, dataset = state.planned, state.code, state.model, state.dataset
    ended = "" if state.exit_code is None else f" with exit code {state.exit_code}"
    lines = [
        f"run           {run.key}",
        f"model         {_about(state)}",
        f"status        {run.status}{ended}",
        f"pipeline      {plan.pipeline or 'none'}: {plan.reason}",
        f"requested by  {state.requested_by} on {state.host}, process {state.pid or '-'}",
        f"code          {code.get('commit') or '-'}{' with changes' if code.get('dirty') else ''}",
        f"executor      {state.executor}",
        f"arguments     {_pairs(state.arguments or {})}",
        f"time          {state.started} to {state.ended or '-'}, {run.seconds} s in steps",
    ]
    if model and model.version:
        unchecked = "" if state.checked else ", unchecked"
        lines.append(
            f"version       version {model.version}, parent {model.parent or '-'}, seed {model.seed}{unchecked}"
        )
    if dataset:
        lines.append(f"dataset       {dataset.get('uri')} {dataset.get('fingerprint', '')}".rstrip())
    lines += ["", f"{'step':12} {'exit':>4} {'seconds':>9}  {'started':26} ended"]
    lines += [
        f"{step.name:12} {step.exit_code:>4} {step.seconds:9.2f}  {step.started:26} {step.ended}"
        for step in state.steps
    ]
    lines += ["", *(f"{name}: {where}" for name, where in state.artifacts.items())]
    return "\n".join(lines).rstrip()


def _about(state: RunState) -> str:
    if state.model_name:
        return state.model_name
    # An earlier Trainyard knew one model, and carried it out in the run of the checks.
    return "-" if state.model and state.model.version else _CHECKS


def _pipeline(state: RunState) -> str:
    return (state.planned.pipeline or "-") if _about(state) != _CHECKS else "-"


def _pairs(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items() if value not in (None, "", False)) or "-"
