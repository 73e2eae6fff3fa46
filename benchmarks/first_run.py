"""From `git clone` to the first prediction, as on a machine that has never seen Trainyard: nothing is kept of Pants, of
its environments or of pip's downloads. Where the time goes is told by what Pants says of itself and by the quickstart's
own stages. What it depends on besides is the way to the package index."""

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import typer

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.commands import output
from cli import InfrastructureError, command_line, progress_console, run
from pipeline.pants import fresh_environment

app = command_line(
    "first_run",
    "Clones this checkout's commit, runs the quickstart there with empty caches, and tells where the time goes.",
    ["./pants run benchmarks:first_run", "./pants run benchmarks:first_run -- --json"],
)

WANTED_SECONDS = 240
# The stage of the quickstart in which a served model answers for the first time.
FIRST_ANSWER = "classify"
# "12:00:01.23 [INFO] Completed: Building 12 requirements for …"
_DONE = re.compile(r"^\S+ \[INFO\] Completed: (?P<what>.+)$")
_WIDTH = 60
# Less than that is not told of Pants' own work, in seconds.
_LEAST = 2.0


@app.command()
def first_run(as_json: AsJson = False) -> None:
    """Measure the way from a clone to the first prediction."""
    console = progress_console()
    here = output(["git", "rev-parse", "--show-toplevel"], Path.cwd())
    with tempfile.TemporaryDirectory(prefix="trainyard-first-run-") as made:
        folder = Path(made)
        clone, environment = folder / "clone", _of_a_newcomer(folder / "cache")
        with _removing_links_into(folder):
            console.print("Clone")
            rows = [("git clone", _timed(["git", "clone", "-q", here, str(clone)], folder, environment))]
            console.print("Pants: installed, started")
            rows.append(("Pants, installed and started", _timed(["./pants", "version"], clone, environment)))
            console.print("Quickstart")
            seconds, said, answer = _quickstart(clone, environment)
    stages = [(str(stage["name"]), float(stage["seconds"])) for stage in answer["stages"]]
    before = seconds - sum(taken for _, taken in stages)
    rows += [("environment, and start of the quickstart", before), *((f"  {what}", taken) for what, taken in said)]
    rows += [(f"quickstart: {name}", taken) for name, taken in stages]
    for name, taken in rows:
        typer.echo(f"{name[:_WIDTH]:{_WIDTH}} {taken:7.1f} s")
    prepared = rows[0][1] + rows[1][1]
    typer.echo(f"{'clone to the end of the quickstart':{_WIDTH}} {prepared + seconds:7.1f} s")
    typer.echo(f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    claims = [
        Claim("clone to first prediction", prepared + before + _until_answered(stages), f"< {WANTED_SECONDS}", "s"),
        Claim("requests that failed", float(answer["failed_requests"]), "== 0", "requests"),
    ]
    tell(claims, as_json)


def _until_answered(stages: Sequence[tuple[str, float]]) -> float:
    """Seconds of the stages up to the one in which a served model answers first."""
    names = [name for name, _ in stages]
    return sum(taken for _, taken in stages[: names.index(FIRST_ANSWER) + 1])


def _of_a_newcomer(cache: Path) -> dict[str, str]:
    """This environment, with empty caches and no Pants; Pants, pip and the launcher keep theirs where XDG says."""
    kept = {name: value for name, value in fresh_environment().items() if not name.startswith("PANTS_")}
    return kept | {"XDG_CACHE_HOME": str(cache)}


def _quickstart(clone: Path, environment: dict[str, str]) -> tuple[float, list[tuple[str, float]], dict[str, Any]]:
    """Seconds in all, what Pants says it did meanwhile with the seconds since what came before, and the result."""
    started = time.monotonic()
    command = ["./pants", "--no-dynamic-ui", "run", "//:quickstart", "--", "--json"]
    process = subprocess.Popen(
        command, cwd=clone, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stderr
    heard: list[tuple[float, str]] = []
    listener = threading.Thread(target=_listen, args=(process.stderr, heard))
    listener.start()
    out = process.stdout.read()
    code = process.wait()
    listener.join()
    seconds = time.monotonic() - started
    if code:
        raise InfrastructureError(
            f"The quickstart ended with exit code {code}: {heard[-1][1] if heard else out[-500:]}"
        )
    said, last = [], started
    for at, line in heard:
        if found := _DONE.match(line):
            said.append((found["what"], at - last))
            last = at
    return seconds, [(what, taken) for what, taken in said if taken >= _LEAST], json.loads(out.splitlines()[-1])


def _listen(stream: IO[str], heard: list[tuple[float, str]]) -> None:
    heard.extend((time.monotonic(), line.rstrip()) for line in stream)


@contextmanager
def _removing_links_into(folder: Path) -> Iterator[None]:
    """Removes what the launcher leaves in /tmp: a link to a tool in the cache that goes with `folder`."""
    try:
        yield
    finally:
        for link in Path("/tmp").glob(f"trainyard-{os.getuid()}-*.pex"):
            if link.is_symlink() and link.readlink().is_relative_to(folder):
                link.unlink(missing_ok=True)


def _timed(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    started = time.monotonic()
    output(command, folder, environment)
    return time.monotonic() - started


if __name__ == "__main__":
    run(app)
