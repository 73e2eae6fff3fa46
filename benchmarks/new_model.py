"""A push that adds a model with a network of its own: how long it takes, checked as a build server does it, to a
version that was tested and mailed. Nothing that Pants kept of earlier checks answers for it; its resolves are there."""

import json
import os
import tempfile
import time
import uuid
from pathlib import Path

import typer

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.commands import output
from cli import command_line, progress_console, run
from dataset.phantom import write_sample

app = command_line(
    "new_model",
    "Adds a model to a clone of this repository, pushes it, and measures each step of the checked run.",
    ["./pants run benchmarks:new_model"],
)

WANTED_SECONDS = 900
IMAGES_PER_CLASS = 60


@app.command()
def new_model(as_json: AsJson = False) -> None:
    """Measure a push that adds a model."""
    console = progress_console()
    here = output(["git", "rev-parse", "--show-toplevel"], Path.cwd())
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as folder:
        images, clone = Path(folder) / "images", Path(folder) / "clone"
        write_sample(images, IMAGES_PER_CLASS, seed=uuid.uuid4().int % 10_000)
        output(["git", "clone", "-q", here, str(clone)], Path(folder))
        console.print("A new model")
        started = time.monotonic()
        pants(clone, "src/python/models", "new", "own", "--dataset", str(images), "--own-network")
        begun = time.monotonic() - started
        output(["git", "add", "-A"], clone)
        identity = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com"]
        output(["git", *identity, "commit", "-qm", "A model"], clone)
        console.print("Its checked run")
        started = time.monotonic()
        out = pants(clone, "src/python/pipeline", "run", "--since", "HEAD~1", "--json")
        seconds = time.monotonic() - started
        answer = json.loads(out.splitlines()[-1])
        made = [one for one in answer["models"] if one["name"] == "own"]
        others = [one["name"] for one in answer["models"] if one["name"] != "own" and one["pipeline"]]
        rows = [step for file in sorted(clone.glob(".trainyard/runs/*/run.json")) for step in _steps(file)]
    typer.echo(f"{'models new':22} {begun:7.1f} s")
    for name, taken in rows:
        typer.echo(f"{name:22} {taken:7.1f} s")
    typer.echo(f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    claims = [
        Claim("a push that adds a model, checked", seconds, f"<= {WANTED_SECONDS}", "s"),
        Claim("versions made of it", sum(one["version"] == 1 for one in made), "== 1", "versions"),
        Claim("other models it touched", len(others), "== 0", "models"),
    ]
    tell(claims, as_json)


def pants(clone: Path, program: str, *arguments: str) -> str:
    """The output of one of the clone's programs, started as a person does."""
    return output(["./pants", "run", program, "--", *arguments], clone)


def _steps(file: Path) -> list[tuple[str, float]]:
    kept = json.loads(file.read_text())
    return [(step["name"], step["seconds"]) for step in kept["steps"]]


if __name__ == "__main__":
    run(app)
