"""Whether a change to a model's files is found before anything loads them: seeded mutations of published versions."""

import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.claims import AsJson, Claim, tell
from cli import command_line, run
from testkit.mutations import KINDS
from testkit.tampering import mutate

app = command_line(
    "tampering",
    "Changes the files of published versions in every way we could think of, and counts what is found and named.",
    ["./pants run benchmarks:tampering", "./pants run benchmarks:tampering -- --mutations 10000 --seed 2 --json"],
)


@app.command()
def tampering(
    mutations: Annotated[int, typer.Option(min=1, help="How many.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed, other mutations.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Change the files of published versions and count what is found before anything loads them."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as folder:
        found = list(mutate(Path(folder), mutations, seed))
    missed = [one for one in found if not one.holds]
    tried, held = Counter(one.kind for one in found), Counter(one.kind for one in found if one.holds)
    for kind in KINDS:
        typer.echo(f"{kind:12} {held[kind]:6} of {tried[kind]:6} found")
    for one in missed[:10]:
        typer.echo(f"missed: {one}")
    typer.echo(f"{time.monotonic() - began:.1f} s")
    name = "mutations found before load, with the file named"
    tell([Claim(name, len(found) - len(missed), f"== {mutations}")], as_json)


if __name__ == "__main__":
    run(app)
