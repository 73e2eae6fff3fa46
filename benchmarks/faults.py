"""Publish, promote, rollback and gc on storage that fails: each fault at each call, once and from there on."""

import os
from collections import Counter
from typing import Annotated

import typer

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.crashes import Only
from benchmarks.places import places
from cli import command_line, progress_console, run
from testkit.faults import faults_of, meetings
from testkit.storage import VERBS, make_base

app = command_line(
    "faults",
    "Spoils the storage under publish, promote, rollback and gc, and looks at what is served.",
    ["./pants run benchmarks:faults", "./pants run benchmarks:faults -- --only bucket --step 3 --json"],
)


@app.command()
def measure(
    only: Only = None,
    step: Annotated[int, typer.Option(min=1, help="Every how many calls.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Spoil the storage under publish, promote, rollback and gc, and look at what is served."""
    os.fsync = lambda descriptor: None
    header = f"{'store':10} {'fault':22} {'once: runs':>10} {'succeed':>8} {'for good: runs':>15} {'succeed':>8}"
    lines, failures = [header], 0
    with places(only) as found:
        for place, proxy in found:
            progress_console().print(f"A registry in a {place.kind}")
            make_base(place)
            runs: Counter[tuple[str, bool]] = Counter()
            succeeded: Counter[tuple[str, bool]] = Counter()
            for verb in VERBS.values():
                try:
                    for met in meetings(place, proxy, verb, step):
                        key = (met.fault, met.count == 1)
                        runs[key] += 1
                        succeeded[key] += met.code == 0
                except AssertionError as error:
                    failures += 1
                    progress_console().print(f"{error}: {error.__cause__}", markup=False, soft_wrap=True)
                progress_console().print(f"{verb.name}: {sum(runs.values())} runs so far")
            for fault in faults_of(place.kind):
                once, good = (fault, True), (fault, False)
                counts = f"{runs[once]:10} {succeeded[once]:8} {runs[good]:15} {succeeded[good]:8}"
                lines.append(f"{place.kind:10} {fault:22} {counts}")
    lines.append("Runs that did not succeed ended with one error of the table of exit codes.")
    typer.echo("\n".join(lines))
    tell([Claim("runs that ended otherwise, or after which something wrong was served", failures, "== 0")], as_json)


if __name__ == "__main__":
    run(app)
