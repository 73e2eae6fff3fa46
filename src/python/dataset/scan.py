"""Reads and decodes every image of a dataset once, and refuses what no model should learn from."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cli.errors import DataRefused
from dataset.folder import find
from dataset.model import SPLITS, Dataset, LabelledImage, Unreadable, split_of
from imaging import DEFAULT, ImageError
from imaging.array import canonical

# Side in pixels of the pictures that brightness and contrast are measured on.
_MEASURED = 64


@dataclass(frozen=True)
class _Read:
    path: Path
    label: str
    sha256: str = ""
    bytes: int = 0
    brightness: float = 0.0  # mean gray level, 0 to 255
    contrast: float = 0.0  # standard deviation of the gray levels
    problem: str = ""


def scan(root: Path, max_unreadable: float, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Checks the labelled images under `root`; `progress` hears of (files done, files in all).

    `max_unreadable` is the share of files, 0 to 1, that may be unreadable; those are left out and listed.

    Raises:
        DataRefused: the folder's shape is wrong (see `find`), too many files are unreadable, a class has no readable
            image, or one image sits in two classes.
    """
    root = Path(root)
    files = [(path, label) for label, paths in find(root).items() for path in paths]
    reads = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for read in pool.map(_read, files):
            reads.append(read)
            if progress:
                progress(len(reads), len(files))
    good = [read for read in reads if not read.problem]
    unreadable = [Unreadable(read.path, read.label, read.problem) for read in reads if read.problem]
    labels = sorted({label for _, label in files})
    _refuse_unreadable(root, labels, good, unreadable, len(files), max_unreadable)
    unique = _unique(good)
    images = [LabelledImage(read.path, read.label, read.sha256, split_of(read.sha256)) for read in unique]
    statistics = _statistics(labels, unique) | {"unreadable": len(unreadable), "duplicates": len(good) - len(unique)}
    return Dataset(root, labels, images, _fingerprint(images), statistics, unreadable)


def _read(file: tuple[Path, str]) -> _Read:
    path, label = file
    try:
        with path.open("rb") as stream:
            data = stream.read(DEFAULT.max_bytes + 1)
        pixels = canonical(data, _MEASURED)
    except ImageError as error:
        return _Read(path, label, problem=str(error))
    except OSError as error:
        return _Read(path, label, problem=f"{error.strerror}.")
    digest = hashlib.sha256(data).hexdigest()
    return _Read(path, label, digest, len(data), float(pixels.mean()), float(pixels.std()))


def _refuse_unreadable(
    root: Path, labels: list[str], good: list[_Read], unreadable: list[Unreadable], total: int, allowed: float
) -> None:
    if not unreadable:
        return
    first = unreadable[0]
    if len(unreadable) > allowed * total:
        raise DataRefused(
            f"{len(unreadable)} of {total} images can't be read, more than the {allowed:.1%} allowed; the first is "
            f"{first.path}: {first.reason} Replace or remove them, or raise max_unreadable under [dataset]."
        )
    for label in labels:
        if not any(read.label == label for read in good):
            raise DataRefused(f"Not one image of class folder {root / label} can be read; replace its files.")


def _unique(reads: list[_Read]) -> list[_Read]:
    """Each image once, sorted by label and digest: copies in one class would only count it twice."""
    by_digest: dict[str, list[_Read]] = defaultdict(list)
    for read in reads:
        by_digest[read.sha256].append(read)
    twice = [same for same in by_digest.values() if len({read.label for read in same}) > 1]
    if twice:
        one, other = twice[0][0], next(read for read in twice[0] if read.label != twice[0][0].label)
        more = f" ({len(twice) - 1} more images are too)" if len(twice) > 1 else ""
        raise DataRefused(
            f"The same image is labelled '{one.label}' and '{other.label}': {one.path} and {other.path}{more}; "
            "keep the right one and remove the other."
        )
    return sorted((same[0] for same in by_digest.values()), key=lambda read: (read.label, read.sha256))


def _fingerprint(images: list[LabelledImage]) -> str:
    lines = sorted(f"{image.label}\0{image.sha256}\n" for image in images)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _statistics(labels: list[str], reads: list[_Read]) -> dict[str, Any]:
    """What later runs compare with to see whether the data drifted. JSON-able."""
    splits = {split: dict.fromkeys(labels, 0) for split in SPLITS}
    for read in reads:
        splits[split_of(read.sha256)][read.label] += 1
    return {
        "splits": splits,
        "brightness": {label: _summary([r.brightness for r in reads if r.label == label]) for label in labels},
        "contrast": {label: _summary([r.contrast for r in reads if r.label == label]) for label in labels},
        "bytes": {label: _summary([r.bytes for r in reads if r.label == label]) for label in labels},
    }


def _summary(values: list[float]) -> dict[str, float]:
    return {"mean": round(float(np.mean(values)), 3), "deviation": round(float(np.std(values)), 3)}
