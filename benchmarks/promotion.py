"""All that is promised of the registry and of promotion, measured: the five matrices, one after the other."""

import json
import os
import subprocess
import sys
from typing import Annotated

import typer

from benchmarks.claims import AsJson, Claim, tell
from cli import InfrastructureError, UsageError, command_line, progress_console, run

# What each of them asks, in the order of what a registry goes through.
PARTS = {
    "crashes": "killed before and after every call to the storage",
    "faults": "storage that fails, at every 7th call",
    "contention": "eight promoters at a time, 200 rounds",
    "tampering": "1,000 changes to the files of versions",
    "traffic": "50 promotions and 50 rollbacks under requests",
}

app = command_line(
    "promotion",
    "Kills, spoils, contends, tampers and promotes under traffic, and prints what came of it; it takes about an hour. "
    "Each part is a benchmark of its own, with options.",
    ["./pants run benchmarks:promotion", "./pants run benchmarks:promotion -- --part tampering --part traffic --json"],
)


@app.command()
def promotion(
    part: Annotated[list[str], typer.Option(help=f"What to measure: {', '.join(PARTS)}.")] = list(PARTS),  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Measure all that is promised of the registry and of promotion."""
    if wrong := set(part) - set(PARTS):
        raise UsageError(f"There is nothing to measure called '{wrong.pop()}'; name {', '.join(PARTS)}.")
    claims: list[Claim] = []
    for name in part:
        progress_console().print(f"{name}: {PARTS[name]}")
        typer.echo(f"== {name}: {PARTS[name]}")
        lines = printed(name)
        typer.echo("\n".join(lines[:-1]) + "\n")
        for row in json.loads(lines[-1])["claims"]:
            claims.append(Claim(f"{name}: {row['name']}", row["value"], row["wanted"], row["unit"]))
    typer.echo("== All")
    tell(claims, as_json)


def printed(name: str) -> list[str]:
    """The lines of a benchmark in a process of its own, as it would print them by itself; progress is shown."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)}
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise InfrastructureError(f"Measuring '{name}' ended with exit code {done.returncode}; see above.")
    return done.stdout.splitlines()


if __name__ == "__main__":
    run(app)
