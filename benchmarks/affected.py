"""What a change costs: plan and check of a one-file change, of everything, and of no change, measured side by side."""

import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.scratch import AREAS, MODELS, TARGETS, ScratchRepository
from cli import InfrastructureError, command_line, progress_console, run
from contracts.plan import Plan
from pipeline import changes, checks
from pipeline.pants import fresh_environment

app = command_line(
    "affected",
    "Measures plan and check of a one-file change against those of everything, in a scratch repository.",
    ["./pants run benchmarks:affected", "./pants run benchmarks:affected -- --our-tests --json"],
)

WANTED_RATIO = 20
WANTED_PLAN_SECONDS = 5


class Bench:
    def __init__(self, repository: ScratchRepository) -> None:
        self.repository = repository
        self.root = repository.root

    def plan(self, since: str) -> tuple[Plan, float]:
        """The plan, by the very command that a build server calls, and how many seconds that took."""
        command = ["./pants", "run", "src/python/pipeline", "--", "plan", f"--since={since}", "--json"]
        out, seconds = self._timed(command, fresh_environment())
        return Plan.from_json(json.loads(out.splitlines()[-1])), seconds

    def check(self, made: Plan, ours: bool = False) -> dict[str, float]:
        """Seconds of each step that checks `made`; of our own tests where `ours` says so, as if none had run before."""
        tests = [address for address in made.affected["test"] if ours or address.startswith("extra/")]
        reduced = Plan(None, made.reason, made.base, made.changed, {"build": [], "image": [], "test": tests})
        force = {"PANTS_TEST_FORCE": "true"} if ours else {}
        return {
            step.name: self._timed(step.argv, {**step.environment, **force})[1]
            for step in checks.of(self.root, reduced)
        }

    def _timed(self, command: list[str], environment: Mapping[str, str]) -> tuple[str, float]:
        started = time.monotonic()
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        if done.returncode:
            said = (done.stdout + done.stderr)[-600:]
            raise InfrastructureError(f"{' '.join(command[:4])} failed in the scratch repository: {said}")
        return done.stdout, time.monotonic() - started


def targets(made: Plan) -> int:
    """How many tests, packages and images a plan asks for."""
    return sum(len(addresses) for addresses in made.affected.values())


@app.command()
def affected(
    repeat: Annotated[int, typer.Option(min=1, help="One-file changes to measure; the middle one counts.")] = 3,
    our_tests: Annotated[
        bool, typer.Option("--our-tests", help="Everything's tests are ours too, as in truth: some 15 minutes more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure plan and check of a one-file change against those of everything."""
    console = progress_console()
    with scratch() as repository:
        bench = Bench(repository)
        console.print(f"{TARGETS} targets around ours, {MODELS} models; warming up (daemons, linters, the test runner)")
        repository.change_one_file(AREAS - 1)
        warm, _ = bench.plan("HEAD~1")
        bench.check(warm)
        console.print("Everything")
        everything, plan_all = bench.plan("")
        check_all = bench.check(everything, our_tests)
        ones = []
        for number in range(repeat):
            console.print(f"A change of one file ({number + 1} of {repeat})")
            repository.change_one_file(number)
            one, seconds = bench.plan("HEAD~1")
            ones.append((one, seconds, bench.check(one)))
        console.print("A change of what one file imports")
        repository.change_an_import(AREAS - 2)
        importing, plan_importing = bench.plan("HEAD~1")
        console.print("A change of one model's network")
        repository.change_a_network()
        of_model, plan_of_model = bench.plan("HEAD~1")
        console.print("No change")
        nothing, plan_none = bench.plan("HEAD")
        check_none = bench.check(nothing)
    plan_one = statistics.median(seconds for _, seconds, _ in ones)
    lint_one = statistics.median(steps["lint"] for *_, steps in ones)
    tests_one = statistics.median(steps["unit-tests"] for *_, steps in ones)
    rows = [
        ("everything", targets(everything), plan_all, check_all["lint"], check_all["unit-tests"]),
        ("one file", targets(ones[0][0]), plan_one, lint_one, tests_one),
        ("nothing", targets(nothing), plan_none, 0.0, 0.0),
        ("one import", targets(importing), plan_importing, 0.0, 0.0),
        ("one model", targets(of_model), plan_of_model, 0.0, 0.0),
    ]
    work = [sum(row[2:]) for row in rows]
    show(rows, work, our_tests)
    claims = [
        Claim("targets to check, everything : one file", rows[0][1] / rows[1][1], f">= {WANTED_RATIO}", "times"),
        Claim(f"plan of a one-file change, {MODELS} models, warm", plan_one, f"< {WANTED_PLAN_SECONDS}", "s"),
        Claim("models that a change of one's network trains", len(of_model.asked), "== 1", "models"),
        Claim("steps after no change", len(check_none) + targets(nothing), "== 0", "steps and targets"),
    ]
    claims.append(Claim("plan and check of one file : everything, warm", work[1] / work[0], "< 0.1", "of everything"))
    if our_tests:
        name = "seconds of plan and check, everything : one file"
        claims.append(Claim(name, work[0] / work[1], f">= {WANTED_RATIO}", "times"))
    tell(claims, as_json)


@contextmanager
def scratch() -> Iterator[ScratchRepository]:
    root = Path(tempfile.mkdtemp(prefix="trainyard-benchmark-"))
    try:
        yield ScratchRepository(root, changes.repository_root(Path.cwd()))
    finally:
        # Without their folders of pids the scratch repository's daemons end by themselves.
        shutil.rmtree(root, ignore_errors=True)


def show(rows: list[tuple[str, int, float, float, float]], work: list[float], our_tests: bool) -> None:
    typer.echo(f"{'change':12} {'targets':>8} {'plan s':>8} {'lint s':>8} {'tests s':>8} {'sum s':>8}")
    for (name, count, plan, lint, tests), total in zip(rows, work, strict=True):
        typer.echo(f"{name:12} {count:8} {plan:8.1f} {lint:8.1f} {tests:8.1f} {total:8.1f}")
    typer.echo(
        "targets: tests, packages and images that the plan asks for, ours and the extra ones; lint: always of all"
    )
    if our_tests:
        typer.echo("code; tests s: of all tests.")
    else:
        typer.echo("code; tests s: those of the extra ones alone, so that everything truly costs more: --our-tests.")


if __name__ == "__main__":
    run(app)
