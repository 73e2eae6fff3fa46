"""Many promoters at the same time, round after round, in a directory and in a bucket."""

import time
from typing import Annotated

import typer

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.crashes import Only
from benchmarks.places import places
from cli import command_line, progress_console, run
from testkit.contention import check_journal, contend
from testkit.storage import BASE

app = command_line(
    "contention",
    "Lets several processes promote the same version at the same time; one must win, and the others be told.",
    ["./pants run benchmarks:contention", "./pants run benchmarks:contention -- --rounds 20 --json"],
)


@app.command()
def measure(
    only: Only = None,
    rounds: Annotated[int, typer.Option(min=1)] = 200,
    promoters: Annotated[int, typer.Option(min=2)] = 8,
    as_json: AsJson = False,
) -> None:
    """Let several processes promote the same version at the same time."""
    lines = [f"{'store':10} {'rounds':>7} {'won':>6} {'conflicts':>10} {'others':>7} {'seconds':>8}  journal"]
    unclear = broken = 0
    with places(only) as found:
        for place, _ in found:
            progress_console().print(f"A registry in a {place.kind}")
            started = time.monotonic()
            results = contend(place, rounds, promoters)
            flat = [result for each in results for result in each.results]
            won, lost = flat.count("won"), flat.count("conflict")
            unclear += sum(not each.clear for each in results)
            try:
                check_journal(place.open(BASE), rounds)
                journal = "complete and in order"
            except AssertionError as error:
                broken, journal = broken + 1, f"wrong: {error}"
            seconds = time.monotonic() - started
            others = len(flat) - won - lost
            lines.append(f"{place.kind:10} {rounds:7} {won:6} {lost:10} {others:7} {seconds:8.1f}  {journal}")
    claims = [
        Claim(f"rounds without one winner and {promoters - 1} conflicts", unclear, "== 0"),
        Claim("journals that are not complete and in order", broken, "== 0"),
    ]
    typer.echo("\n".join(lines))
    tell(claims, as_json)


if __name__ == "__main__":
    run(app)
