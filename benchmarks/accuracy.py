"""How good the network gets on real X-rays: the mean over five stratified folds, each trained from scratch."""

import time
from typing import Annotated, Any

import typer

from benchmarks.claims import AsJson, Claim, tell
from cli import UsageError, command_line, progress_console, run
from training.commands.tensorflow import prepare_tensorflow

app = command_line(
    "accuracy",
    "Trains on five stratified folds of real X-rays from scratch, and tells the mean accuracy on what was held out.",
    [
        "./pants run benchmarks:accuracy -- --xrays ./xrays",
        "./pants run benchmarks:accuracy -- --xrays ./xrays --folds 2 --minutes 20 --json",
    ],
)

WANTED = 0.84
FOLDS = 5
SIDE = 128  # pixels, as chest-xray's
_VALIDATION_SHARE = 0.12


@app.command()
def accuracy(
    xrays: Annotated[str | None, typer.Option(envvar="TRAINYARD_XRAYS", help="Folder of real X-rays.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="For all folds together.")] = 60.0,
    folds: Annotated[int, typer.Option(min=1, max=FOLDS, help="Of the five, how many to measure.")] = FOLDS,
    seed: Annotated[int, typer.Option(min=0, help="Of folds and networks.")] = 0,
    outliers: Annotated[
        float | None, typer.Option(min=0, help="Pictures that show nothing of any class, an image.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the accuracy on real X-rays."""
    if xrays is None:
        raise UsageError("Name a folder of real X-rays with --xrays: on the sample's phantoms the figure says nothing.")
    prepare_tensorflow()
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    from dataset import open_dataset
    from imaging import ImageInput

    console = progress_console()
    data = open_dataset(xrays, 0.01)
    parts = [data.arrays(split, ImageInput(SIDE)) for split in ("train", "validation", "test")]
    pixels, labels = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    found: list[float] = []
    began = time.monotonic()
    cpu = time.process_time()
    turns = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(pixels, labels)
    for number, (rest, held) in zip(range(folds), turns, strict=False):
        left = minutes * 60 - (time.monotonic() - began)
        found.append(fold(pixels, labels, rest, held, left / (folds - number), seed, outliers))
        console.print(f"Fold {number + 1} of {FOLDS}: {found[-1]:.3f}, {time.monotonic() - began:.0f} s so far")
    mean = float(np.mean(found))
    typer.echo(f"each: {', '.join(f'{value:.3f}' for value in found)}; {time.process_time() - cpu:.0f} CPU seconds")
    name = f"mean accuracy over {folds} of {FOLDS} folds of {len(labels)} X-rays"
    tell([Claim(name, round(mean, 4), f">= {WANTED}")], as_json)


def fold(pixels: Any, labels: Any, rest: Any, held: Any, seconds: float, seed: int, outliers: float | None) -> float:
    """Accuracy on `held` of a network that learnt from `rest`, a part of which chose its weights."""
    from dataclasses import replace

    import keras
    from sklearn.model_selection import train_test_split

    from imaging import ImageInput
    from training.family import Family
    from training.loop import Predictor, fit
    from training.step import Schedule

    schedule = Schedule() if outliers is None else replace(Schedule(), outliers=outliers)
    train, validation = train_test_split(rest, test_size=_VALIDATION_SHARE, stratify=labels[rest], random_state=seed)
    keras.utils.set_random_seed(seed)
    network = Family.named("residual").build({}, ImageInput(SIDE), int(labels.max()) + 1)
    fit(
        network,
        (pixels[train], labels[train]),
        (pixels[validation], labels[validation]),
        schedule,
        seed=seed,
        seconds=seconds,
    )
    return float((Predictor(network)(pixels[held]).argmax(axis=1) == labels[held]).mean())


if __name__ == "__main__":
    run(app)
