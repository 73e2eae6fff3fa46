"""A push that adds a model with a network of its own: how long it takes, checked as a build server does it, to a
version that was tested and mailed. Nothing that Pants kept of earlier checks answers for it; its resolves are there.
Then a change of one line in that network, tried by hand without checks: how long until it has a figure."""

import json
import os
import tempfile
import time
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.commands import output
from cli import command_line, progress_console, run
from dataset.phantom import write_sample

app = command_line(
    "new_model",
    "Adds a model to a clone of this repository, pushes it, and measures each step of the checked run; then the quick "
    "mode, `--no-check`, for a change of one line.",
    ["./pants run benchmarks:new_model", "./pants run benchmarks:new_model -- --quick"],
)

WANTED_SECONDS = 900
WANTED_SECONDS_UNCHECKED = 180
IMAGES_PER_CLASS = 60

Quick = Annotated[bool, typer.Option("--quick", help="Leave out the checked run; measure the quick mode alone.")]


@app.command()
def new_model(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure a push that adds a model, and a try by hand."""
    console = progress_console()
    here = output(["git", "rev-parse", "--show-toplevel"], Path.cwd())
    claims = []
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as folder:
        images, clone = Path(folder) / "images", Path(folder) / "clone"
        write_sample(images, IMAGES_PER_CLASS, seed=uuid.uuid4().int % 10_000)
        output(["git", "clone", "-q", here, str(clone)], Path(folder))
        console.print("A new model")
        started = time.monotonic()
        pants(clone, "src/python/models", "new", "own", "--dataset", str(images), "--own-network")
        typer.echo(f"{'models new':22} {time.monotonic() - started:7.1f} s")
        commit(clone, "A model")
        if not quick:
            console.print("Its checked run")
            seconds, _, answer = carried_out(clone)
            made = [one for one in answer["models"] if one["name"] == "own"]
            others = [one["name"] for one in answer["models"] if one["name"] != "own" and one["pipeline"]]
            claims += [
                Claim("a push that adds a model, checked", seconds, f"<= {WANTED_SECONDS}", "s"),
                Claim("versions made of it", sum(one["version"] == 1 for one in made), "== 1", "versions"),
                Claim("other models it touched", len(others), "== 0", "models"),
            ]
        console.print("A change of one line, without checks")
        with (clone / "models/own/network.py").open("a") as network:
            network.write("# Tried by hand.\n")
        commit(clone, "A change of one line")
        _, figure, answer = carried_out(clone, "--no-check")
        tested = [one for one in answer["models"] if one["name"] == "own" and one["version"]]
        claims += [
            Claim("a change of one line, --no-check: to its figure", figure, f"< {WANTED_SECONDS_UNCHECKED}", "s"),
            Claim("versions made of it", len(tested), "== 1", "versions"),
        ]
    typer.echo(f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    tell(claims, as_json)


def commit(clone: Path, message: str) -> None:
    """All that changed in the clone."""
    output(["git", "add", "-A"], clone)
    identity = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com"]
    output(["git", *identity, "commit", "-qm", message], clone)


def carried_out(clone: Path, *arguments: str) -> tuple[float, float, dict[str, Any]]:
    """Seconds of a run of the last commit, those to the end of its training, and its answer; each step is told."""
    before = set(clone.glob(".trainyard/runs/*/run.json"))
    started = time.monotonic()
    out = pants(clone, "src/python/pipeline", "run", "--since", "HEAD~1", "--json", *arguments)
    seconds = time.monotonic() - started
    later = 0.0
    # One of the checks, and one of the model.
    for file in sorted(set(clone.glob(".trainyard/runs/*/run.json")) - before):
        steps = [(step["name"], step["seconds"]) for step in json.loads(file.read_text())["steps"]]
        for name, taken in steps:
            typer.echo(f"{name:22} {taken:7.1f} s")
        names = [name for name, _ in steps]
        # What follows on the training, with nothing beside it.
        later += sum(taken for _, taken in steps[names.index("train") + 1 :]) if "train" in names else 0
    return seconds, seconds - later, json.loads(out.splitlines()[-1])


def pants(clone: Path, program: str, *arguments: str) -> str:
    """The output of one of the clone's programs, started as a person does."""
    return output(["./pants", "run", program, "--", *arguments], clone)


if __name__ == "__main__":
    run(app)
