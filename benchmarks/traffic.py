"""What users notice of promotions and rollbacks: two serving pods under steady requests, one switch after the other."""

import math
import shutil
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.claims import AsJson, Claim, tell
from cli import command_line, progress_console, run
from testkit import windows
from testkit.traffic import LABELS, MODEL, Bench, MakeModel, measure

app = command_line(
    "traffic",
    "Promotes and rolls back under steady gRPC and REST requests to two serving pods, and counts what went wrong.",
    [
        "./pants run benchmarks:traffic",
        "./pants run benchmarks:traffic -- --switches 6 --requests 1000 --json",
    ],
)

MOST_SLOWDOWN = 3
IMAGES = 12


def claims(found: windows.Account, requests: int) -> list[Claim]:
    return [
        Claim("requests", found.requests, f">= {requests}"),
        Claim("requests that failed", len(found.failed), "== 0"),
        Claim("answers without a version", len(found.unnamed), "== 0"),
        Claim("answers that are not their version's", len(found.wrong), "== 0"),
        Claim("answers of another version than announced", len(found.stale), "== 0"),
        Claim("p99 while switching : p99 otherwise", found.inside / found.steady, f"<= {MOST_SLOWDOWN}", "times"),
    ]


@app.command()
def traffic(
    switches: Annotated[int, typer.Option(min=1, help="Promotions, and as many rollbacks.")] = 50,
    requests: Annotated[int, typer.Option(min=1, help="Go on until so many were sent.")] = 20_000,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second, over both pods and protocols.")] = 30,
    pause: Annotated[float, typer.Option(min=2.5, help="Seconds between two switches.")] = 4,
    keep: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the requests, a line of JSON each.")] = None,
    as_json: AsJson = False,
) -> None:
    """Promote and roll back under steady requests to two serving pods."""
    console = progress_console()
    folder = Path(tempfile.mkdtemp(prefix="trainyard-benchmark-"))
    try:
        console.print("Making models")
        make_model, images, image_size = our_models()
        bench = Bench(folder, make_model, images, image_size)
        console.print("Starting two pods")
        with bench.serving(2):
            console.print(f"{2 * switches} switches while {rate:g} requests a second run")
            found = measure(bench, switches, requests, rate, pause, console.print)
        if keep:
            shutil.copyfile(folder / "requests.jsonl", keep)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(found, bench.switches)
    tell(claims(found, requests), as_json)


def our_models() -> tuple[MakeModel, list[bytes], int]:
    """Networks as training makes them, with weights as they begin; phantoms to ask about; the models' image size."""
    from training.commands.tensorflow import prepare_tensorflow

    prepare_tensorflow()
    import keras
    import numpy as np

    from dataset import write_sample
    from imaging import ImageInput
    from imaging.array import canonical
    from training.export import answers, export
    from training.networks.residual import Parameters, build

    image = ImageInput(128)
    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder), IMAGES // len(LABELS), seed=5)
        images = [path.read_bytes() for path in sorted(Path(folder).rglob("*.png"))]
    pixels = np.stack([canonical(data, image) for data in images])

    def make(number: int, folder: Path) -> list[dict[str, float]]:
        keras.utils.set_random_seed(number)
        export(build(Parameters(), image, len(LABELS)), LABELS, folder, MODEL, pixels, image)
        return [dict(zip(LABELS, map(float, row), strict=True)) for row in answers(folder, pixels)]

    return make, images, image.size


def show(found: windows.Account, switches: Sequence[windows.Switch]) -> None:
    rows = [("steady", found.requests - found.inside_requests, found.steady, math.nan)]
    rows.append(("switching", found.inside_requests, found.inside, found.inside / found.steady))
    typer.echo(f"{'requests while':16} {'requests':>9} {'p99 ms':>8} {'times steady':>13}")
    for name, count, seconds, ratio in rows:
        typer.echo(f"{name:16} {count:9} {seconds * 1000:8.1f} {'' if math.isnan(ratio) else f'{ratio:13.2f}'}")
    worst = max(found.windows)
    typer.echo(
        f"a window's own p99: median {statistics.median(found.windows) * 1000:.1f} ms, worst {worst * 1000:.1f} ms\n"
    )
    typer.echo(f"{'switches':16} {'count':>9} {'median s':>9} {'longest s':>10}")
    for action in ("promote", "rollback"):
        took = [switch.seconds for switch in switches if switch.action == action]
        typer.echo(f"{action:16} {len(took):9} {statistics.median(took):9.1f} {max(took):10.1f}")
    for name, requests in (("failed", found.failed), ("wrong", found.wrong), ("stale", found.stale)):
        for text, count in Counter(request.error or f"version {request.version}" for request in requests).most_common(
            5
        ):
            typer.echo(f"{name}: {count} times {text}")


if __name__ == "__main__":
    run(app)
