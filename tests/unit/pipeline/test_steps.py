"""The table of steps, and a plan as steps."""

from pathlib import Path

import pytest

from cli import UsageError
from contracts.plan import ModelPlan, Plan
from pipeline import checks, steps

ALL = {"build": ["a:b"], "image": [], "test": ["t:t"]}
NONE: dict[str, list[str]] = {"build": [], "image": [], "test": []}


def made(base, changed, affected, **pipelines):
    plan = Plan(None, "", base, changed, affected)
    return plan.with_models(ModelPlan(name, pipeline, "") for name, pipeline in pipelines.items())


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        (made("abc", [], NONE, a=None), []),
        (made("abc", ["README.md"], NONE, a=None), ["lint"]),
        (made("abc", ["x.py"], {**NONE, "test": ["t:t"]}), ["lint", "unit-tests"]),
        (made("abc", ["x.py"], ALL, a="test"), ["lint", "unit-tests", "package", "test", "notify"]),
        (made(None, [], ALL, a="train"), ["lint", "unit-tests", "package", "train", "test", "notify"]),
        (made("abc", [], NONE, a="retrain"), ["retrain", "test", "notify"]),
        (made("abc", [], NONE, a="retrain", b="train", c=None), ["train", "retrain", "test", "notify"]),
    ],
)
def test_steps_are_what_the_plan_asks_for(plan, wanted):
    assert steps.of_plan(plan) == wanted
    assert [step.name for step in checks.of(Path("/repository"), plan)] == steps.of_checks(plan)


def test_each_models_steps_are_its_own():
    assert [steps.of_model(ModelPlan("a", pipeline, "")) for pipeline in ("train", "test", None)] == [
        ["train", "test", "notify"],
        ["test", "notify"],
        [],
    ]


def test_unknown_step_is_refused_by_name():
    steps.known("notify")
    steps.known(None)
    with pytest.raises(UsageError, match="'deploy' is not known; use one of lint, unit-tests, package, train"):
        steps.known("deploy")


def test_strongest_of_several_models_is_the_plans():
    plan = made("abc", ["x.py"], NONE, a="test", b="retrain", c="retrain")
    assert (plan.pipeline, plan.of("b").pipeline, [model.name for model in plan.asked]) == (
        "retrain",
        "retrain",
        ["a", "b", "c"],
    )


def test_plan_of_an_earlier_trainyard_is_read():
    kept = {"pipeline": "train", "reason": "r", "base": None, "changed": ["x"], "affected": {}, "steps": ["train"]}
    read = Plan.from_json(kept)
    assert (read.pipeline, read.changed, read.models) == ("train", ["x"], [])
    again = made("abc", ["x.py"], ALL, a="train")
    assert Plan.from_json(again.as_json()) == again


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Would reformat: src/a.py\n1 file would be reformatted\n",
            "Not formatted: src/a.py; `scripts/lint --fix` formats them.",
        ),
        (
            "\n".join(f"Would reformat: src/{n}.py" for n in "abcde"),
            "Not formatted: src/a.py, src/b.py, src/c.py and 2 more; `scripts/lint --fix` formats them.",
        ),
        (
            "src/a.py:3:1: F401 [*] `os` imported but unused\nFound 1 error.\n",
            "src/a.py:3:1 (F401 [*] `os` imported but unused); `scripts/lint --fix` fixes what it can.",
        ),
        (
            "F401 [*] `os` imported but unused\n --> src/a.py:3:8\n  |\n",
            "src/a.py:3:8; `scripts/lint --fix` fixes what it can.",
        ),
        (
            "src/a.py:7: error: Incompatible types\n",
            "src/a.py:7 (error: Incompatible types); `scripts/lint --fix` fixes what it can.",
        ),
        ("All checks passed!\n", ""),
    ],
)
def test_lint_names_the_files_and_the_way_out(said, told):
    assert checks.of_lint(said) == told


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("✓ tests/unit/a/test_x.py:tests succeeded in 1.20s.", 1),
        ("✕ tests/unit/a/test_x.py:tests failed in 1.20s.", 1),
        ("✓ tests/unit/a/test_x.py:tests and 12 other files succeeded in 1.20s (memoized).", 13),
        ("12:00:01.00 [INFO] Completed: Run Pytest", 0),
    ],
)
def test_files_of_tests_are_counted_as_they_end(line, count):
    assert checks.files_of_tests_ended(line) == count


def test_failed_tests_are_named():
    said = "✓ tests/a.py:tests succeeded in 1.20s.\n✕ tests/b.py:tests and 2 other files failed in 0.10s.\n"
    assert checks.of_tests(said) == "Failed: tests/b.py:tests; run one with `./pants test FILE`."
