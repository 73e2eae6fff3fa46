"""The check of a dataset as large as Kaggle's COVID-19 Radiography collection: how long it takes, how much memory."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from benchmarks.claims import AsJson, Claim, tell
from cli import InfrastructureError, command_line, progress_console, run
from cli.progress import shown
from dataset.phantom import CLASSES, draw

app = command_line(
    "dataset",
    "Draws phantoms, as many as Kaggle's collection has X-rays, and measures how they are checked.",
    ["./pants run benchmarks:dataset", "./pants run benchmarks:dataset -- --images 3000 --json"],
)

IMAGES = 21_000
# The memory of so few is what the program takes by itself.
SHARE_OF_FEW = 10
WANTED_SECONDS = 180
# Path, digests and figures are kept of an image, and no pixels: forty times less than its file.
WANTED_KIB_AN_IMAGE = 1.5
_SEED, _AT_ONCE = 11, 50


@app.command()
def dataset(
    images: Annotated[int, typer.Option(min=600, help="How many; the claims are about the default.")] = IMAGES,
    as_json: AsJson = False,
) -> None:
    """Measure the check of many images."""
    with scratch() as folder:
        many, few = folder / "many", folder / "few"
        with shown(progress_console(), "Drawing phantoms") as progress:
            draw_all(many, few, images, progress)
        _, memory_of_few, _ = checked(few)
        seconds, memory, cpu = checked(many)
    further = 1024 * (memory - memory_of_few) / (images - images // SHARE_OF_FEW)
    claims = [
        Claim(f"check of {images} images", seconds, f"< {WANTED_SECONDS}", "s"),
        Claim("memory for each further image", further, f"< {WANTED_KIB_AN_IMAGE}", "KiB"),
    ]
    busy = os.getloadavg()[0]
    typer.echo(f"{images} phantoms of 299x299 pixels, {os.cpu_count()} cores (load {busy:.1f}, others' work included)")
    typer.echo(
        f"{seconds:.1f} s, {cpu:.1f} s of processor time, {memory:.0f} MiB at most; of few {memory_of_few:.0f} MiB"
    )
    tell(claims, as_json)


def draw_all(many: Path, few: Path, images: int, tell: Any) -> None:
    """Phantoms of all classes under `many`, and every tenth of them under `few`."""
    each = images // len(CLASSES)
    for root in (many, few):
        for label in CLASSES:
            (root / label / "images").mkdir(parents=True)
    parts = [
        (index, start, min(start + _AT_ONCE, each))
        for index in range(len(CLASSES))
        for start in range(0, each, _AT_ONCE)
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(_draw, *zip(*[(many, few, *part) for part in parts], strict=True)), start=1):
            tell(done * _AT_ONCE, len(parts) * _AT_ONCE)


def _draw(many: Path, few: Path, index: int, start: int, end: int) -> None:
    label = CLASSES[index]
    for number in range(start, end):
        file = many / label / "images" / f"{label}-{number}.png"
        picture = draw(label, np.random.default_rng([_SEED, index, number]))
        Image.fromarray(picture).save(file, compress_level=1)
        if number % SHARE_OF_FEW == 0:
            os.link(file, few / label / "images" / file.name)


def checked(folder: Path) -> tuple[float, float, float]:
    """Seconds, MiB at most, and seconds of processor time that the command takes, Python's start included."""
    arguments = ["check", "--dataset", str(folder), "--previous", "none", "--report", f"{folder}.html"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "dataset", *arguments], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InfrastructureError(f"The check of {folder} ended with exit code {process.returncode}; see above.")
    return time.monotonic() - started, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="trainyard-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    run(app)
