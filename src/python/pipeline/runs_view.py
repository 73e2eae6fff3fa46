"""Runs as text for a person."""

from collections.abc import Iterable
from typing import Any

from pipeline.runs import Kept


def table(runs: Iterable[Kept]) -> str:
    """A line a run."""
    lines = [f"{'key':26} {'status':11} {'pipeline':9} {'version':>7} {'seconds':>8}  {'started':26} requested by"]
    for run in runs:
        plan, model = run.state.get("plan") or {}, run.state.get("model") or {}
        pipeline, version = plan.get("pipeline") or "-", model.get("version") or "-"
        lines.append(
            f"{run.key:26} {run.status:11} {pipeline:9} {version:>7} {run.seconds:8.1f}  "
            f"{run.state.get('started', '-'):26} {run.state.get('requested_by', '-')}"
        )
    return "\n".join(lines)


def page(run: Kept) -> str:
    """All that is worth reading of a run."""
    state = run.state
    plan, code = state.get("plan") or {}, state.get("code") or {}
    model, dataset = state.get("model") or {}, state.get("dataset") or {}
    ended = "" if state.get("exit_code") is None else f" with exit code {state['exit_code']}"
    lines = [
        f"run           {run.key}",
        f"status        {run.status}{ended}",
        f"pipeline      {plan.get('pipeline') or 'none'}: {plan.get('reason', '')}",
        f"requested by  {state.get('requested_by', '-')} on {state.get('host', '-')}, process {state.get('pid', '-')}",
        f"code          {code.get('commit') or '-'}{' with changes' if code.get('dirty') else ''}",
        f"executor      {state.get('executor', '-')}",
        f"arguments     {_pairs(state.get('arguments') or {})}",
        f"time          {state.get('started')} to {state.get('ended') or '-'}, {run.seconds} s in steps",
    ]
    if model:
        lines.append(f"model         version {model['version']}, parent {model['parent'] or '-'}, seed {model['seed']}")
    if dataset:
        lines.append(f"dataset       {dataset.get('uri')} {dataset.get('fingerprint', '')}".rstrip())
    lines += ["", f"{'step':12} {'exit':>4} {'seconds':>9}  {'started':26} ended"]
    lines += [
        f"{step['name']:12} {step['exit_code']:>4} {step['seconds']:9.2f}  {step['started']:26} {step['ended']}"
        for step in state["steps"]
    ]
    lines += ["", *(f"{name}: {where}" for name, where in (state.get("artifacts") or {}).items())]
    return "\n".join(lines).rstrip()


def _pairs(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items() if value not in (None, "")) or "-"
