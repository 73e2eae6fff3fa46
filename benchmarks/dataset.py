"""The check of a dataset as large as Kaggle's COVID-19 Radiography collection: how long it takes and how much memory,
cold and with a few new images; large images; and how often different X-rays are taken for copies of each other."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from benchmarks.claims import AsJson, Claim, tell
from cli import InfrastructureError, command_line, progress_console, run
from cli.progress import shown
from dataset.phantom import CLASSES, draw
from dataset.pool import Progress

app = command_line(
    "dataset",
    "Draws phantoms, as many as Kaggle's collection has X-rays, and measures how they are checked, cold and with a few "
    "new ones, and so for large images; on real X-rays also how many are taken for copies of each other.",
    [
        "./pants run benchmarks:dataset",
        "./pants run benchmarks:dataset -- --images 3000 --large 0 --xrays ./xrays --json",
    ],
)

IMAGES = 21_000
# The memory of so few is what the program takes by itself.
SHARE_OF_FEW = 10
WANTED_SECONDS = 180
# Path, digests and figures are kept of an image, and no pixels: forty times less than its file.
WANTED_KIB_AN_IMAGE = 1.5
NEW = 100
WANTED_SECONDS_OF_NEW = 10
LARGE, LARGE_SIDES = 200, (4300, 3500)  # pixels, of 16 bits: X-rays as a hospital's archive has them
WANTED_MIB_OF_LARGE = 1024
WANTED_FALSE_PAIRS = 0.01
_SEED, _AT_ONCE = 11, 50


@app.command()
def dataset(
    images: Annotated[int, typer.Option(min=600, help="How many; the claims are about the default.")] = IMAGES,
    large: Annotated[int, typer.Option(min=0, help="How many large images; 0 leaves them out.")] = LARGE,
    xrays: Annotated[str | None, typer.Option(envvar="TRAINYARD_XRAYS", help="Folder of real X-rays.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the check of many images."""
    with scratch() as folder:
        many, few = folder / "many", folder / "few"
        with shown(progress_console(), "Drawing phantoms") as progress:
            draw_all(many, few, images, progress)
        of_few, cold = checked(few, folder / "index-of-few"), checked(many, folder / "index")
        further = 1024 * (cold.mib - of_few.mib) / (images - images // SHARE_OF_FEW)
        for number in range(NEW):
            _draw(many, None, 0, images + number, images + number + 1)
        warm, again = checked(many, folder / "index"), checked(many, folder / "another-index")
        rows = [("few, cold", of_few), ("all, cold", cold), (f"all and {NEW} new", warm), ("the same, cold", again)]
        claims = [
            Claim(f"check of {images} images", cold.seconds, f"< {WANTED_SECONDS}", "s"),
            Claim("memory for each further image", further, f"< {WANTED_KIB_AN_IMAGE}", "KiB"),
            Claim(f"check when {NEW} are new", warm.seconds, f"<= {WANTED_SECONDS_OF_NEW}", "s"),
            Claim("bytes of its answer that a cold check answers otherwise", differing(warm, again), "== 0", "bytes"),
        ]
        if large:
            shutil.rmtree(many)
            draw_large(folder / "large", large)
            rows.append((f"{large} of {LARGE_SIDES[0]}x{LARGE_SIDES[1]}", checked(folder / "large", folder / "index")))
            claims.append(Claim(f"memory for {large} large images", rows[-1][1].mib, f"< {WANTED_MIB_OF_LARGE}", "MiB"))
    if xrays:
        claims.append(Claim("X-rays near to another one", false_pairs(xrays), f"<= {WANTED_FALSE_PAIRS}", "of all"))
    else:
        typer.echo("Left out how many X-rays are taken for copies: name a folder of real X-rays with --xrays")
    busy = os.getloadavg()[0]
    typer.echo(f"{images} phantoms of 299x299 pixels, {os.cpu_count()} cores (load {busy:.1f}, others' work included)")
    for name, row in rows:
        typer.echo(f"{name:20} {row.seconds:7.1f} s {row.cpu:7.1f} s of processor time {row.mib:6.0f} MiB at most")
    tell(claims, as_json)


def differing(one: "Check", other: "Check") -> int:
    return sum(a != b for a, b in zip(one.answer, other.answer, strict=False)) + abs(
        len(one.answer) - len(other.answer)
    )


def false_pairs(xrays: str) -> float:
    """The share of images that are near to another one; in a collection without copies each of them is a mistake."""
    from dataset.scan import scan_folder

    scan = scan_folder(Path(xrays))
    return len({read.path for pair in scan.near for read in pair}) / scan.files


def draw_large(folder: Path, count: int) -> None:
    """Gray images of 16 bits and hard to pack, in two classes. They differ, but most of their noise is shared."""
    width, height = LARGE_SIDES
    random = np.random.default_rng(_SEED)
    noise = random.integers(0, 4096, (height, width), np.uint16)
    for label in ("A", "B"):
        (folder / label).mkdir(parents=True)
    for number in range(count):
        small = Image.fromarray(random.integers(0, 60000, (16, 16)).astype(np.int32), "I")
        smooth = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR)).astype(np.uint16)
        Image.fromarray(smooth + noise).save(folder / "AB"[number % 2] / f"{number}.png", compress_level=1)


def draw_all(many: Path, few: Path, images: int, tell: Progress) -> None:
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


def _draw(many: Path, few: Path | None, index: int, start: int, end: int) -> None:
    label = CLASSES[index]
    for number in range(start, end):
        file = many / label / "images" / f"{label}-{number}.png"
        picture = draw(label, np.random.default_rng([_SEED, index, number]))
        Image.fromarray(picture).save(file, compress_level=1)
        if few and number % SHARE_OF_FEW == 0:
            os.link(file, few / label / "images" / file.name)


@dataclass(frozen=True)
class Check:
    seconds: float  # Python's start included, as those below
    mib: float  # of memory, at most
    cpu: float  # seconds of processor time
    answer: bytes  # one line of JSON


def checked(folder: Path, index: Path) -> Check:
    """What the command takes, with the index of facts in the folder `index`, and what it answers."""
    arguments = ["check", "--dataset", str(folder), "--previous", "none", "--report", f"{folder}.html", "--json"]
    path = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": path, "TRAINYARD_DATASET_INDEX": str(index)}
    command, started = [sys.executable, "-m", "dataset", *arguments], time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, env=environment, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise InfrastructureError(f"The check of {folder} ended with exit code {process.returncode}; see above.")
        out.seek(0)
        return Check(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime, out.read())


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="trainyard-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    run(app)
