"""What training costs: an epoch against tensors in memory, peak memory, and CPU time against the classical way."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import classical
from benchmarks.claims import AsJson, Claim, tell
from cli import InfrastructureError, UsageError, command_line, print_json, progress_console, run
from training.commands.tensorflow import prepare_tensorflow

app = command_line(
    "training",
    "Measures a training epoch against tensors in memory, peak memory against everything in one array and, on real "
    "X-rays, CPU time to an accuracy of 0.75 against the classical way.",
    [
        "./pants run benchmarks:training",
        "./pants run benchmarks:training -- --part time --xrays ./xrays --json",
    ],
)

PARTS = ("epoch", "memory", "time")
WANTED_EPOCH, WANTED_MEMORY, WANTED_TIMES = 1.05, 0.33, 10
WANTED_ACCURACY = 0.75
_LEAST = 600  # CPU seconds that the classical way gets: enough for some epochs
_STEPS = 20
_ROUNDS = 7
IMAGE_SIDE = 128  # pixels, as chest-xray's
_DRAWN = 500  # phantoms; the others are these, a little brighter or darker


@app.command()
def training(
    part: Annotated[list[str], typer.Option(help=f"What to measure: {', '.join(PARTS)}.")] = list(PARTS),  # noqa: B006
    images: Annotated[int, typer.Option(min=300, help="Images for the peak memory.")] = 15_000,
    xrays: Annotated[str | None, typer.Option(envvar="TRAINYARD_XRAYS", help="Folder of real X-rays.")] = None,
    child: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[str, typer.Option(hidden=True)] = "",
    limit: Annotated[float, typer.Option(hidden=True)] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Measure what training costs."""
    if child:
        print_json(CHILDREN[child](Path(folder), limit))
        return
    if wrong := set(part) - set(PARTS):
        raise UsageError(f"There is nothing to measure called '{wrong.pop()}'; name {', '.join(PARTS)}.")
    console = progress_console()
    claims: list[Claim] = []
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as temporary:
        scratch = Path(temporary)
        if "epoch" in part:
            console.print("An epoch, fed and from tensors in memory")
            claims += epoch_claims(in_child("epoch", scratch))
        if "memory" in part:
            console.print(f"Peak memory with {images} images")
            many(scratch / "many", images)
            own, one_array = in_child("own-memory", scratch / "many"), in_child("array-memory", scratch / "many")
            claims += memory_claims(own["mib"], one_array["mib"])
    if "time" in part and xrays is None:
        console.print("Left out CPU time to 0.75: name a folder of real X-rays with --xrays")
    elif "time" in part and xrays is not None:
        console.print("CPU time to 0.75 on held-out X-rays: ours")
        own = in_child("own-time", Path(xrays))
        limit = max(own["seconds"] * WANTED_TIMES, _LEAST)
        console.print(f"{own}\nThe classical way, stopped after {limit:.0f} CPU seconds")
        other = in_child("classical-time", Path(xrays), limit)
        console.print(str(other))
        claims += time_claims(own, other)
    typer.echo(f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    tell(claims, as_json)


def in_child(name: str, folder: Path, limit: float = 0.0) -> dict[str, Any]:
    """What a process of its own measured: peaks and CPU times are those of nothing else."""
    command = [sys.executable, "-m", "benchmarks.training", "--child", name, "--folder", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*command, "--limit", str(limit)], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise InfrastructureError(f"Measuring '{name}' failed: {done.stderr[-600:]}")
    return json.loads(done.stdout.splitlines()[-1])


def epoch_claims(found: dict[str, Any]) -> list[Claim]:
    return [
        Claim("epoch, fed : tensors in memory (CPU time)", found["cpu"], f"<= {WANTED_EPOCH}", "times"),
        Claim("epoch, fed : tensors in memory (best wall time)", found["wall"], f"<= {WANTED_EPOCH}", "times"),
    ]


def memory_claims(own: float, one_array: float) -> list[Claim]:
    return [
        Claim("peak memory, ours : everything in one array", own / one_array, f"<= {WANTED_MEMORY}", "times"),
        Claim("peak memory of a training run, TensorFlow included", own, f"<= {one_array * WANTED_MEMORY:.0f}", "MiB"),
    ]


def time_claims(own: dict[str, Any], other: dict[str, Any]) -> list[Claim]:
    # A classical run that was stopped took at least as long as is shown.
    ratio = other["seconds"] / own["seconds"]
    what = "" if other["accuracy"] >= WANTED_ACCURACY else f", which had not come there (best {other['accuracy']:.3f})"
    return [
        Claim("accuracy reached by ours on held-out X-rays", own["accuracy"], f">= {WANTED_ACCURACY}", ""),
        Claim(f"CPU time to 0.75, classical way{what} : ours", ratio, f">= {WANTED_TIMES}", "times"),
    ]


def many(folder: Path, images: int) -> None:
    """A dataset of `images` phantoms. Drawing takes long, so most are drawn ones made brighter or darker."""
    import numpy as np
    from PIL import Image

    from dataset.phantom import CLASSES, draw

    for index, label in enumerate(CLASSES):
        place = folder / label
        place.mkdir(parents=True)
        drawn = [draw(label, np.random.default_rng([index, i])) for i in range(_DRAWN // len(CLASSES))]
        for number in range(images // len(CLASSES)):
            shift, which = divmod(number, len(drawn))
            picture = np.clip(drawn[which].astype(np.int16) + shift - 15, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(place / f"{number}.png", compress_level=1)


def _epoch(folder: Path, limit: float) -> dict[str, Any]:
    """The same steps of the default network, fed by the pipeline and with batches that are tensors already."""
    prepare_tensorflow()
    import keras
    import numpy as np
    import tensorflow as tf

    from contracts.changes import Changes
    from training.feed import Feed
    from training.loop import class_weights
    from training.step import Schedule, training_step
    from training.team import Team

    schedule, team = Schedule(), Team()
    random = np.random.default_rng(0)
    side = IMAGE_SIDE
    count = schedule.batch * _STEPS
    images = random.integers(0, 256, (count, side, side, 1), np.uint8), np.arange(count, dtype=np.int32) % 3
    network = shipped_network(3)
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.build(network.trainable_variables)
    feed = Feed(images, schedule.batch, 0, team)
    step = training_step(network, optimizer, schedule, feed.size, class_weights(images[1], 3), team, Changes())
    ready = list(feed.batches(0, _STEPS))
    step(ready[0], tf.constant([0, 0]))

    def measured(batches: Any) -> tuple[float, float]:
        wall, cpu = time.monotonic(), time.process_time()
        for number, batch in enumerate(batches):
            step(batch, tf.constant([0, number]))
        return time.monotonic() - wall, time.process_time() - cpu

    rounds = [(measured(feed.batches(0, _STEPS)), measured(ready)) for _ in range(_ROUNDS)]
    # The best turn of each: a busy machine makes any turn slower, and none faster.
    (wall, cpu), (wall_ready, cpu_ready) = [[min(r[way][k] for r in rounds) for k in (0, 1)] for way in (0, 1)]
    return {"wall": wall / wall_ready, "cpu": cpu / cpu_ready}


def _own_memory(folder: Path, limit: float) -> dict[str, Any]:
    """Checks and decodes everything, then trains over it: all pixels are kept and make the kernel machine, some of them
    the one epoch."""
    prepare_tensorflow()
    from contracts.changes import Changes
    from dataset import open_dataset
    from training.at_once import Material, fit_layers
    from training.loop import class_weights, fit
    from training.step import Schedule

    data = open_dataset(str(folder), 0.0)
    size = IMAGE_SIDE
    pixels, labels = data.arrays("train", size)
    data.arrays("test", size)
    some = len(labels) // 20
    train = pixels[::20][:some], labels[::20][:some]
    network = shipped_network(3)
    fit_layers(network, Material(pixels, labels, class_weights(labels, 3), Changes(), seed=0))
    fit(network, train, data.arrays("validation", size), Schedule(epochs=1), seed=0)
    return {"mib": peak_mib()}


def _array_memory(folder: Path, limit: float) -> dict[str, Any]:
    """Only the array of the classical way: training on it would take more."""
    pixels, _ = classical.in_one_array(sorted(folder.glob("*/*.png")))
    return {"mib": peak_mib(), "array": pixels.nbytes >> 20}


def _own_time(folder: Path, limit: float) -> dict[str, Any]:
    """CPU seconds, from reading the files on, until the network that would be kept is right often enough."""
    prepare_tensorflow()
    import keras

    from dataset import open_dataset
    from training.loop import Predictor, fit
    from training.step import Schedule

    started = time.process_time()
    data = open_dataset(str(folder), 0.01)
    size = IMAGE_SIDE
    keras.utils.set_random_seed(0)
    network = shipped_network(len(data.labels))
    pixels, truth = data.arrays("test", size)
    predict = Predictor(network)
    reached: list[float] = []

    def good(history: Any) -> bool:
        # Asked after every epoch, while the network holds the weights that are judged.
        reached.append(float((predict(pixels).argmax(axis=1) == truth).mean()))
        return reached[-1] >= WANTED_ACCURACY

    fit(
        network,
        data.arrays("train", size),
        data.arrays("validation", size),
        Schedule(),
        seed=0,
        hopeless=good,
    )
    return {"seconds": time.process_time() - started, "accuracy": max(reached), "epochs": len(reached)}


def _classical_time(folder: Path, limit: float) -> dict[str, Any]:
    prepare_tensorflow()
    from dataset import open_dataset

    data = open_dataset(str(folder), 0.01)
    sides = {split: [(image.path, image.label) for image in data.part(split)] for split in ("train", "test")}
    return classical.train(sides["train"], sides["test"], data.labels, WANTED_ACCURACY, limit)


def shipped_network(classes: int) -> Any:
    """chest-xray's, with random weights."""
    from imaging import ImageInput
    from training.family import Family

    return Family.named("residual").build({}, ImageInput(IMAGE_SIDE), classes)


def peak_mib() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


CHILDREN = {
    "epoch": _epoch,
    "own-memory": _own_memory,
    "array-memory": _array_memory,
    "own-time": _own_time,
    "classical-time": _classical_time,
}

if __name__ == "__main__":
    run(app)
