"""Publish, promote, rollback and gc, killed before and after every call to the storage, in a directory and a bucket."""

import os
import time
from typing import Annotated

import typer

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.places import places
from cli import command_line, progress_console, run
from testkit.crashes import crashes
from testkit.storage import SEQUENCES, VERBS, make_base

app = command_line(
    "crashes",
    "Kills publish, promote, rollback and gc at every call to the storage, and looks at what is served.",
    ["./pants run benchmarks:crashes", "./pants run benchmarks:crashes -- --only directory --json"],
)
WANTED_RUNS = 1000
Only = Annotated[str | None, typer.Option(help="`directory` or `bucket`; default: both.")]


@app.command()
def measure(
    only: Only = None,
    step: Annotated[int, typer.Option(min=1, help="Every how many calls; an odd number takes both sides.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Kill publish, promote, rollback and gc at every call to the storage, and look at what is served."""
    os.fsync = lambda descriptor: None  # what a process has written outlives the process
    lines, runs, failures = [f"{'store':10} {'killed, next call':18} {'runs':>6} {'seconds':>8}"], 0, 0
    with places(only) as found:
        for place, _ in found:
            progress_console().print(f"A registry in a {place.kind}")
            make_base(place)
            for verb in (*VERBS.values(), *SEQUENCES.values()):
                started, count, failed = time.monotonic(), 0, 0
                try:
                    for _ in crashes(place, verb, step):
                        count += 1
                except AssertionError as error:
                    failed = 1
                    progress_console().print(f"{error}: {error.__cause__}", markup=False, soft_wrap=True)
                runs, failures = runs + count + failed, failures + failed
                lines.append(f"{place.kind:10} {verb.name:18} {count:6} {time.monotonic() - started:8.1f}")
                progress_console().print(lines[-1])
    claims = [
        Claim("runs that were killed", runs, f">= {WANTED_RUNS if only is None and step == 1 else 1}", "runs"),
        Claim("runs after which something wrong was served, or the next call did not end the work", failures, "== 0"),
    ]
    typer.echo("\n".join(lines))
    tell(claims, as_json)


if __name__ == "__main__":
    run(app)
