"""What Terraform makes of the tables in infra/terraform, which need no provider."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

TERRAFORM = Path(__file__).parents[1] / "infra" / "terraform"
_GIVEN = {"project": "p", "registry_bucket": "r", "datasets_bucket": "d", "host": "h", "billing_account": "b"}


def evaluate(folder: Path, expression: str, *variables: str) -> Any:
    """The value of an expression over the tables; `folder` is empty or of an earlier call."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed; the tables of rights were read as text alone")
    for name in ("variables.tf", "rights.tf"):
        shutil.copy(TERRAFORM / name, folder)
    flags = [f"-var={name}={value}" for name, value in _GIVEN.items()] + ["-var=monthly_budget=1"]
    done = subprocess.run(
        ["terraform", "console", *flags, *variables],
        input=f"jsonencode({expression})",
        cwd=folder,
        env={**os.environ, "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(json.loads(next(line for line in done.stdout.splitlines() if line.startswith('"'))))
