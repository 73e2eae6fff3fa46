"""What is checked before a model is touched: the style and types of all code, and the affected targets."""

import re
from pathlib import Path

from contracts.plan import Plan
from pipeline import steps
from pipeline.pants import nested_environment
from pipeline.step import Step

# A file of tests, or a batch of them, that Pants has run: "✓ tests/a.py:tests and 3 other files succeeded in 1.2s".
_RAN = re.compile(r"^[✓✕] (?P<file>\S+?)(?: and (?P<more>\d+) other files?)? (?:succeeded|failed) ")
_FAILED = re.compile(r"^✕ (?P<file>\S+?)(?: and \d+ other files?)? failed ", re.MULTILINE)
_UNFORMATTED = re.compile(r"^Would reformat: (.+)$", re.MULTILINE)
# What ruff (in either of its forms) and mypy begin a finding with, and ruff's rule.
_FINDING = re.compile(r"^(?:\s*--> )?(?P<place>[^\s:]+\.pyi?:\d+(?::\d+)?):?(?P<rest>.*)$", re.MULTILINE)
_SHOWN = 3


def of(root: Path, made: Plan) -> list[Step]:
    """The checks of what `made` is about; none where nothing changed."""
    pants, environment, tests = str(root / "pants"), nested_environment(), made.affected.get("test", [])
    all_steps = {
        "lint": Step("lint", [str(root / "scripts" / "lint")], environment, explains=of_lint),
        "unit-tests": Step(
            "unit-tests",
            [pants, "test", *tests],
            environment,
            units=len(tests),
            counts=files_of_tests_ended,
            explains=of_tests,
        ),
        "package": Step("package", [pants, "package", *made.affected.get("build", [])], environment),
    }
    return [all_steps[name] for name in steps.of_checks(made)]


def files_of_tests_ended(line: str) -> int:
    """How many files of tests a line of Pants' output tells the end of."""
    found = _RAN.match(line)
    return 1 + int(found["more"] or 0) if found else 0


def of_lint(said: str) -> str:
    """What keeps the code from being accepted, and the way out."""
    if files := _UNFORMATTED.findall(said):
        return f"Not formatted: {_some(files)}; `scripts/lint --fix` formats them."
    findings = [
        found["place"] + (f" ({rest})" if (rest := found["rest"].strip()) else "") for found in _FINDING.finditer(said)
    ]
    return f"{_some(findings)}; `scripts/lint --fix` fixes what it can." if findings else ""


def of_tests(said: str) -> str:
    """Which tests failed."""
    files = _FAILED.findall(said)
    return f"Failed: {_some(files)}; run one with `./pants test FILE`." if files else ""


def _some(things: list[str]) -> str:
    more = f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
    return ", ".join(things[:_SHOWN]) + more
