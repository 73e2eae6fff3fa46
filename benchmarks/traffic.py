"""What users notice of promotions and rollbacks: two serving pods under steady requests, one switch after the other."""

import base64
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import load, windows
from benchmarks.claims import AsJson, Claim, tell
from cli import InfrastructureError, command_line, progress_console, run
from contracts.record import Golden
from promote.pods import Pods
from promote.rollover import Rollover
from registry import Keys, Registry
from serving.pod import LocalPod
from settings.schema import Mail

app = command_line(
    "traffic",
    "Promotes and rolls back under steady gRPC and REST requests to two serving pods, and counts what went wrong.",
    [
        "./pants run benchmarks:traffic",
        "./pants run benchmarks:traffic -- --switches 6 --requests 1000 --json",
    ],
)

MODEL = "chest-xray"
LABELS = ["COVID", "Normal", "Viral Pneumonia"]
MOST_SLOWDOWN = 3
# So many models of different weights take turns as the versions.
MODELS = 4
IMAGES = 12
# Golden requests a record, as training keeps.
GOLDEN = 6
TIMEOUT = 120.0  # seconds for the pods to load, and again to switch

# Writes the model number N to a folder; returns what it answers: image -> class -> probability.
MakeModel = Callable[[int, Path], list[dict[str, float]]]


class Bench:
    """A registry with version 1 in production, and the pods that serve it."""

    def __init__(
        self, folder: Path, make_model: MakeModel, images: Sequence[bytes], image_size: int, models: int = MODELS
    ) -> None:
        self.folder, self.images, self._size = folder, images, image_size
        self.registry = Registry.open(str(folder / "registry"), MODEL, Keys.of("", [], str(folder / "registry")))
        self._models = [folder / f"model-{number}" for number in range(models)]
        self._answers = [make_model(number, place) for number, place in enumerate(self._models)]
        self.pods: list[LocalPod] = []
        self.switches: list[windows.Switch] = []
        # Version -> what its model answers when nobody switches anything.
        self.expected: dict[int, list[dict[str, float]]] = {}

    def publish(self) -> int:
        """The next version, tested: the next model's files, signed like any other."""
        record = self.registry.create("train", labels=LABELS, image_size=self._size)
        number = record.version % len(self._models)
        self.expected[record.version] = self._answers[number]
        golden = [
            Golden(image=base64.b64encode(image).decode(), probabilities=[scores[label] for label in LABELS])
            for image, scores in zip(self.images, self._answers[number], strict=True)
        ]
        self.registry.publish(record.version, self._models[number])
        verdict = {"kind": "test", "passed": True, "at": record.created}
        self.registry.add_verdict(record.version, verdict, state="tested", golden=golden[:GOLDEN])
        return record.version

    @contextmanager
    def serving(self, count: int) -> Iterator[None]:
        """Version 1 in production, on so many pods."""
        self._switch("promote", self.publish())
        with ExitStack() as stack:
            config, logs = self.registry.models_config(), self.folder / "logs"
            pods = [LocalPod(config, MODEL, logs / str(number)) for number in range(count)]
            with ThreadPoolExecutor(count) as threads:
                self.pods = list(threads.map(stack.enter_context, pods))
            self.switches.clear()
            yield

    def promote(self) -> None:
        self._switch("promote", self.publish())

    def roll_back(self, version: int) -> None:
        self._switch("rollback", version)

    def _switch(self, action: Any, version: int) -> None:
        steps: dict[str, float] = {}
        addresses = [pod.address for pod in self.pods]
        rollover = Rollover(
            self.registry,
            Pods(addresses),
            Mail(outbox=str(self.folder / "outbox")),
            TIMEOUT,
            # Each step is told when it is done.
            say=lambda line: steps.setdefault(line.split()[0], time.monotonic()),
        )
        began = time.monotonic()
        rollover.run(action, version, "benchmark", "measured")
        ended = time.monotonic()
        released, announced = steps.get("ask", began), steps.get("confirm", ended)
        self.switches.append(windows.Switch(action, version, began, released, announced, ended))


@contextmanager
def asked(bench: Bench, rate: float, output: Path) -> Iterator[None]:
    """Requests run inside the context; `output` gets a line for each."""
    files = []
    for number, image in enumerate(bench.images):
        files.append(bench.folder / f"{number}.png")
        files[-1].write_bytes(image)
    orders = {
        "pods": [(pod.address, pod.url) for pod in bench.pods],
        "images": [str(file) for file in files],
        "rate": rate,
        "output": str(output),
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load"], stdin=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdin
        process.stdin.write(json.dumps(orders) + "\n")
        process.stdin.flush()
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=60)
    if process.returncode:
        raise InfrastructureError(f"The process that asks ended with exit code {process.returncode}.")


def measure(
    bench: Bench, switches: int, requests: int, rate: float, pause: float, say: Callable[[str], None]
) -> windows.Account:
    """`switches` promotions and as many rollbacks, `pause` seconds apart, while at least `requests` requests run."""
    output = bench.folder / "requests.jsonl"
    with asked(bench, rate, output):
        began = time.monotonic()
        while not output.exists() or not output.stat().st_size:
            time.sleep(0.1)
        time.sleep(pause)
        for number in range(switches):
            bench.promote()
            time.sleep(pause)
            bench.roll_back(1)
            time.sleep(pause)
            if (number + 1) % 5 == 0:
                say(f"{number + 1} promotions and rollbacks after {time.monotonic() - began:.0f} s")
        while _lines(output) < requests:
            time.sleep(1)
    return windows.account(load.read(output), 1, bench.switches, bench.expected)


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


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
