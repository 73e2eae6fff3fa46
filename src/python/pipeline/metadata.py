"""What a run keeps beside its steps: who asked for what, by which code, on which data, and where the results lie.

The fields are those that Google's "MLOps: Continuous delivery and automation pipelines in machine learning" lists for a
metadata store.
"""

import getpass
import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from cli.version import VERSION
from contracts.run import ModelMade, ModelOutcome, RunState, Said
from pipeline import changes, steps
from settings import Settings

# A build server says here for whom it works; else it is whoever is logged in.
REQUESTER_VARIABLE = "TRAINYARD_REQUESTED_BY"


def of_call(root: Path, arguments: Mapping[str, Any]) -> dict[str, object]:
    """What is known before the first step: fields of `RunState`."""
    return {
        "requested_by": os.environ.get(REQUESTER_VARIABLE) or _user(),
        "host": platform.node(),
        "pid": os.getpid(),
        "checkout": str(root),
        "arguments": dict(arguments),
        "code": {
            "commit": changes.head(root),
            "dirty": not changes.is_clean(root),
            "components": {
                "trainyard": VERSION,
                "python": platform.python_version(),
                "pants": _pants(root),
                **_installed(),
            },
        },
    }


def add_results(state: RunState, settings: Settings, outcome: ModelOutcome) -> None:
    """Adds what the steps have said: the model's record and its tests' verdict, and pointers to all that was made."""
    making = next((step for row in steps.TABLE if row.makes and (step := state.step(row.name))), None)
    record = making.said if making else Said()
    tested = state.step("test")
    version = outcome.version
    artifacts = logs_of(state)
    if version:
        home = f"{settings.registry.uri.rstrip('/')}/{settings.model.name}"
        artifacts |= {"record": f"{home}/records/{version}.json", "reports": f"{home}/reports/{version}"}
        # A version under the gate is recorded, and its files are not kept.
        if record.state != "rejected":
            artifacts["model"] = f"{home}/testing/{version}"
        state.model = ModelMade(
            version=version,
            parent=record.parent,
            seed=record.seed,
            parameters=record.parameters,
            components=record.code.components if record.code else None,
            steps=record.steps,
            metrics=record.metrics,
        )
    if outcome.mail:
        artifacts["mail"] = outcome.mail
    state.dataset = record.dataset or {"uri": settings.dataset.uri}
    state.verdict = tested.result if tested and isinstance(tested.result, dict) else None
    state.artifacts = artifacts


def logs_of(state: RunState) -> dict[str, str]:
    return {f"log of {step.name}": step.log for step in state.steps}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user often has no name.
        return str(os.getuid())


def _pants(root: Path) -> str | None:
    try:
        found = re.search(r'^pants_version = "(.+)"', (root / "pants.toml").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def _installed() -> dict[str, str]:
    return {found.metadata["Name"].lower(): found.version for found in distributions() if found.metadata["Name"]}
