"""Serving pods under requests through everything that moves them: a promotion, a new image, a drained node, scaling."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import typer

from benchmarks.claims import AsJson, Claim, tell
from cli import command_line, run
from testkit.pods import write_models
from testkit.rollout import Rollout, serve

app = command_line(
    "rollout",
    "Counts the requests that fail while serving pods, started with the manifest's arguments, are moved about.",
    ["./pants run benchmarks:rollout", "./pants run benchmarks:rollout -- --json"],
)


@app.command()
def main(as_json: AsJson = False) -> None:
    claims = []
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(folder)
        write_models(registry, versions=(1, 2))
        serve(registry, [1], stable=1)
        with Rollout(registry) as rollout:
            rollout.begin(2)

            def promote() -> None:
                serve(registry, [1, 2], stable=1)
                time.sleep(15)  # for both to have loaded it; promote itself asks them
                serve(registry, [1, 2], stable=2)
                time.sleep(5)

            stages: dict[str, Callable[[], None]] = {
                "promotion": promote,
                "new image": rollout.update,
                "drained node": rollout.drain,
                "from 2 to 6 pods": lambda: rollout.scale(6),
                "from 6 to 2 pods": lambda: rollout.scale(2),
            }
            for name, move in stages.items():
                before, failed, started = rollout.answered.total(), len(rollout.failures), time.monotonic()
                move()
                answered, failed = rollout.answered.total() - before, len(rollout.failures) - failed
                typer.echo(f"{name:18} {time.monotonic() - started:6.1f} s {answered:7} answered {failed:4} failed")
                claims.append(Claim(f"failed requests, {name}", failed, "== 0"))
            for failure in rollout.failures[:5]:
                typer.echo(failure)
    tell(claims, as_json)


if __name__ == "__main__":
    run(app)
