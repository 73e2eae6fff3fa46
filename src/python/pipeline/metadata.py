"""What a run keeps beside its steps: who asked for what, by which code, on which data, and where the results lie.

The fields are those that Google's "MLOps: Continuous delivery and automation pipelines in machine learning" lists for a
metadata store.
"""

import getpass
import os
import platform
import re
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from pipeline import changes
from settings import Settings

# A build server says here for whom it works; else it is whoever is logged in.
REQUESTER_VARIABLE = "TRAINYARD_REQUESTED_BY"


def of_call(root: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """What is known before the first step."""
    return {
        "requested_by": os.environ.get(REQUESTER_VARIABLE) or _user(),
        "host": platform.node(),
        "pid": os.getpid(),
        "checkout": str(root),
        "arguments": arguments,
        "code": {
            "commit": changes.head(root),
            "dirty": _dirty(root),
            "components": {"python": platform.python_version(), "pants": _pants(root), **_installed()},
        },
    }


def of_results(
    steps: list[dict[str, Any]], settings: Settings, version: int | None, mail: str | None
) -> dict[str, Any]:
    """What the steps have said: the model's record and its tests' verdict, and pointers to all that was made."""
    said = {step["name"]: step["result"] for step in steps if isinstance(step["result"], dict)}
    record = said.get("train") or said.get("retrain") or {}
    artifacts = {f"log of {step['name']}": step["log"] for step in steps}
    if version:
        home = f"{settings.registry.uri.rstrip('/')}/{settings.model.name}"
        artifacts |= {"record": f"{home}/records/{version}.json", "reports": f"{home}/reports/{version}"}
        # A version under the gate is recorded, and its files are not kept.
        if record.get("state") != "rejected":
            artifacts["model"] = f"{home}/testing/{version}"
    if mail:
        artifacts["mail"] = mail
    model = {
        "version": version,
        "parent": record.get("parent"),
        "seed": record.get("seed"),
        "parameters": record.get("parameters"),
        "components": (record.get("code") or {}).get("components"),
        # Of the training itself, inside the step.
        "steps": record.get("steps"),
        "metrics": record.get("metrics"),
    }
    return {
        "dataset": record.get("dataset") or {"uri": settings.dataset.uri},
        "model": model if version else None,
        "verdict": said.get("test"),
        "artifacts": artifacts,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user often has no name.
        return str(os.getuid())


def _dirty(root: Path) -> bool:
    status = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True)
    return bool(status.stdout)


def _pants(root: Path) -> str | None:
    try:
        found = re.search(r'^pants_version = "(.+)"', (root / "pants.toml").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def _installed() -> dict[str, str]:
    return {found.metadata["Name"].lower(): found.version for found in distributions() if found.metadata["Name"]}
