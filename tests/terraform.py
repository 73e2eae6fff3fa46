"""What Terraform makes of the tables in infra/terraform, which need no provider."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from testkit.rights import Grant

TERRAFORM = Path(__file__).parents[1] / "infra" / "terraform"
_GIVEN = {"project": "p", "registry_bucket": "r", "datasets_bucket": "d", "host": "h", "billing_account": "b"}


def require() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed; the tables of rights were read as text alone")


def evaluate(folder: Path, expression: str, *variables: str, planted: tuple[str, str] | None = None) -> Any:
    """The value of an expression over the tables; `folder` is empty or of an earlier call.

    Of `planted` the first is replaced by the second in the table of rights.
    """
    require()
    for name in ("variables.tf", "rights.tf"):
        shutil.copy(TERRAFORM / name, folder)
    if planted:
        text = (folder / "rights.tf").read_text()
        assert text.count(planted[0]) == 1
        (folder / "rights.tf").write_text(text.replace(*planted))
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


def grants(folder: Path, planted: tuple[str, str] | None = None) -> dict[str, list[Grant]]:
    """NAMESPACE/ACCOUNT -> its rights in the registry's bucket, as buckets.tf makes them of the tables."""
    folders, objects = evaluate(folder, "[values(local.each_grant), values(local.each_promoter)]", planted=planted)
    buckets = (TERRAFORM / "buckets.tf").read_text()
    name = re.search(r'"google_storage_managed_folder" "registry" \{.*?name\s*= "(.*?)"\n', buckets, re.S)
    condition = re.search(r'expression = "resource\.name == .*?/objects/(.*?)\\""', buckets)
    assert name and condition
    found: dict[str, list[Grant]] = {}
    for row in folders:
        found.setdefault(row["account"], []).append(Grant(_filled(name[1], row), row["role"]))
    for row in objects:
        found.setdefault(row["account"], []).append(Grant(_filled(condition[1], row), row["role"], one=True))
    return found


def _filled(template: str, row: dict[str, str]) -> str:
    return re.sub(r"\$\{each\.value\.(\w+)\}", lambda match: row[match[1]], template)
