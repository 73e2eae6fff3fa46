"""Reads and decodes every image of a dataset once, and finds what no model should learn from."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cli.machine import processors
from dataset.fingerprint import fingerprint
from dataset.folder import find
from dataset.model import Dataset, LabelledImage, Unreadable
from dataset.read import Progress, Read, in_order, read
from dataset.split import DEFAULT, SPLITS, Split, side_of
from dataset.statistics import statistics


@dataclass(frozen=True)
class Scan:
    """All files of a dataset folder. `dataset` holds those that can be learnt from."""

    dataset: Dataset
    files: int
    unreadable: list[Read]
    # Of each picture that stands in several classes all copies; none of them is in the dataset.
    conflicts: list[list[Read]]
    # Of each picture that stands in one class several times all copies; the first is in the dataset.
    duplicates: list[list[Read]]
    # What is in the dataset, sorted like its images.
    kept: list[Read]


def scan_folder(root: Path, progress: Progress | None = None, rules: Sequence[Split] = DEFAULT) -> Scan:
    """Reads all images under `root`, and splits them by `rules`.

    Raises:
        DataRefused: the folder's shape is wrong (see `find`).
    """
    root = Path(root)
    files = [(path, label) for label, paths in find(root).items() for path in paths]
    reads: list[Read] = []
    with ThreadPoolExecutor(processors()) as pool:
        for one in in_order(pool, lambda file: read(*file), files):
            reads.append(one)
            if progress:
                progress(len(reads), len(files))
    unreadable = [one for one in reads if one.problem]
    kept, conflicts, duplicates = _compared([one for one in reads if not one.problem], rules)
    labels = sorted({label for _, label in files})
    images = [
        LabelledImage(one.path, one.label, one.sha256, side_of(one.sha256, rules), one.side, one.brightness)
        for one in kept
    ]
    figures = statistics(labels, kept) | {
        "splits": _splits(labels, images),
        "unreadable": len(unreadable),
        "conflicts": sum(map(len, conflicts)),
        "duplicates": sum(len(copies) - 1 for copies in duplicates),
    }
    # Whatever is left out of a class for its pictures, the folder is what its bytes are.
    value = fingerprint((one.label, one.sha256) for one in reads if not one.problem)
    left_out = [Unreadable(one.path, one.label, one.problem) for one in unreadable]
    dataset = Dataset(root, labels, images, value, figures, left_out, tuple(rules))
    return Scan(dataset, len(files), unreadable, conflicts, duplicates, kept)


def _compared(reads: list[Read], rules: Sequence[Split]) -> tuple[list[Read], list[list[Read]], list[list[Read]]]:
    """Each picture once, sorted by label and digest; those of several classes; those that one class holds twice.

    A picture that was saved anew has other bytes, and may fall on another side. The copy that is kept is the one that a
    model has seen most of, so that no model is judged on a picture of its training.
    """
    by_picture: dict[bytes, list[Read]] = defaultdict(list)
    for one in reads:
        by_picture[one.picture].append(one)
    kept, conflicts, duplicates = [], [], []
    for copies in by_picture.values():
        if len({one.label for one in copies}) > 1:
            conflicts.append(copies)
            continue
        if len(copies) > 1:
            copies.sort(key=lambda one: (SPLITS.index(side_of(one.sha256, rules)), one.sha256))
            duplicates.append(copies)
        kept.append(copies[0])
    return sorted(kept, key=lambda one: (one.label, one.sha256)), conflicts, duplicates


def _splits(labels: list[str], images: list[LabelledImage]) -> dict[str, dict[str, int]]:
    splits = {split: dict.fromkeys(labels, 0) for split in SPLITS}
    for image in images:
        splits[image.split][image.label] += 1
    return splits
