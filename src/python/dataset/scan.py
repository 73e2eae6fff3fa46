"""Reads every image of a dataset, decodes those that are new, and finds what no model should learn from."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from cli.machine import processors
from dataset.assign import Assigned, assign
from dataset.fingerprint import fingerprint
from dataset.folder import Found, look
from dataset.groups import Grouping, grouping
from dataset.index import Index
from dataset.model import Dataset, LabelledImage, Unreadable
from dataset.pool import Progress, in_order
from dataset.read import Read, Unread, read
from dataset.sides import Sides
from dataset.split import DEFAULT, SPLITS, Split, side_of
from dataset.statistics import statistics
from imaging import ImageInput

_FULL_WHITE = ImageInput(1).white


@dataclass(frozen=True)
class Terms:
    """How a dataset is read and split."""

    rules: Sequence[Split] = DEFAULT
    # The sides of an earlier version and its ancestors.
    known: Sides = field(default_factory=Sides)
    # Names that make a class of any folder.
    classes: Sequence[str] = ()
    # The folder of the index of facts, "" for this machine's cache; None for no index.
    index: str | None = None
    # The 16-bit sample that is full white for the model.
    white: int = _FULL_WHITE

    @property
    def groups(self) -> str:
        return self.rules[0].groups


@dataclass(frozen=True)
class Scan:
    """All files of a dataset folder. `dataset` holds those that can be learnt from."""

    dataset: Dataset
    found: Found
    grouping: Grouping
    unreadable: list[Unread]
    # Of each picture that stands in several classes all copies; none of them is in the dataset.
    conflicts: list[list[Read]]
    # Of each picture that stands in one class several times all copies; the first is in the dataset.
    duplicates: list[list[Read]]
    # What is in the dataset, sorted like its images.
    kept: list[Read]
    # Left out, since they are near to images on two sides.
    between: list[Read]
    # Images that are nearly the same.
    near: list[tuple[Read, Read]]
    # How many are so much alike that nearness tells nothing of them.
    alike: int
    # How many have no group, where groups are told.
    ungrouped: int
    # Of all files that were found, whether they can be read or not.
    promised: str

    @property
    def files(self) -> int:
        return len(self.found.files)


def scan_folder(root: Path, progress: Progress | None = None, terms: Terms = Terms()) -> Scan:
    """Reads all images under `root`, and splits them.

    Raises:
        DataRefused: the folder's shape is wrong (see `look`), or the file that tells its groups.
        UsageError: the rule for groups is none.
    """
    root = Path(root)
    told = grouping(terms.groups, root)
    found = look(root, told.by_folder, terms.classes)
    reads, unreadable = _read(found, terms, progress)
    pictures, conflicts, duplicates = _compared(reads, terms)
    assigned, ungrouped = _assigned(pictures, duplicates, told, terms)
    out = set(assigned.out)
    rows = [place for place in range(len(pictures)) if place not in out]
    kept = [pictures[place] for place in rows]
    images = [_image(pictures[place], assigned, place, bool(told.rule)) for place in rows]
    labels = found.labels
    figures = statistics(labels, kept) | {
        "splits": _splits(labels, images),
        "unreadable": len(unreadable),
        "conflicts": sum(map(len, conflicts)),
        "duplicates": sum(len(copies) - 1 for copies in duplicates),
    }
    # Whatever is left out of a class for its pictures, the folder is what its bytes are.
    value = fingerprint((one.label, one.sha256) for one in reads)
    dataset = Dataset(
        root,
        labels,
        images,
        value,
        figures,
        [Unreadable(one.file.path, one.file.label, one.problem) for one in unreadable],
        tuple(terms.rules),
        terms.known.grown((one.sha256, image.split, one.facts.prints) for one, image in zip(kept, images, strict=True)),
    )
    return Scan(
        dataset,
        found,
        told,
        unreadable,
        conflicts,
        duplicates,
        kept,
        [pictures[place] for place in assigned.out],
        [(pictures[i], pictures[j]) for i, j in assigned.near],
        assigned.alike,
        ungrouped,
        fingerprint([*((r.label, r.sha256) for r in reads), *((u.file.label, u.sha256) for u in unreadable)]),
    )


def _read(found: Found, terms: Terms, progress: Progress | None) -> tuple[list[Read], list[Unread]]:
    index = Index() if terms.index is None else Index.open(terms.index, terms.white)
    reads: list[Read] = []
    unreadable: list[Unread] = []
    with ThreadPoolExecutor(processors()) as pool:
        results = in_order(pool, lambda file: read(file, index, terms.white), found.files, ahead=8, at_once=8)
        for done, one in enumerate(results, start=1):
            (reads if isinstance(one, Read) else unreadable).append(one)  # type: ignore[arg-type]
            if progress:
                progress(done, len(found.files))
    index.save()
    return reads, unreadable


def _compared(reads: Sequence[Read], terms: Terms) -> tuple[list[Read], list[list[Read]], list[list[Read]]]:
    """Each picture once, sorted by label and digest; those of several classes; those that one class holds twice.

    A picture that was saved anew has other bytes, and may fall on another side. The copy that is kept is the one that a
    model has seen most of, so that no model is judged on a picture of its training.
    """

    def most_seen(one: Read) -> tuple[bool, int, str]:
        known = terms.known.of(one.sha256)
        return known is None, SPLITS.index(known or side_of(one.sha256, terms.rules)), one.sha256

    by_picture: dict[bytes, list[Read]] = defaultdict(list)
    for one in reads:
        by_picture[one.facts.picture].append(one)
    pictures, conflicts, duplicates = [], [], []
    for copies in by_picture.values():
        if len({one.label for one in copies}) > 1:
            conflicts.append(copies)
            continue
        if len(copies) > 1:
            copies.sort(key=most_seen)
            duplicates.append(copies)
        pictures.append(copies[0])
    return sorted(pictures, key=lambda one: (one.label, one.sha256)), conflicts, duplicates


def _assigned(
    pictures: Sequence[Read], duplicates: Sequence[Sequence[Read]], told: Grouping, terms: Terms
) -> tuple[Assigned, int]:
    groups = [told.of(one.file) for one in pictures]
    places = {one.sha256: place for place, one in enumerate(pictures)}
    copies = [
        (places[several[0].sha256], group)
        for several in duplicates
        for copy in several[1:]
        if (group := told.of(copy.file))
    ]
    ungrouped = sum(not group for group in groups) if told.rule else 0
    return assign(pictures, groups, terms.rules, terms.known, copies), ungrouped


def _image(one: Read, assigned: Assigned, place: int, grouped: bool) -> LabelledImage:
    facts, group = one.facts, assigned.groups[place] if grouped else -1
    return LabelledImage(one.path, one.label, one.sha256, assigned.sides[place], facts.side, facts.brightness, group)


def _splits(labels: list[str], images: list[LabelledImage]) -> dict[str, dict[str, int]]:
    splits = {split: dict.fromkeys(labels, 0) for split in SPLITS}
    for image in images:
        splits[image.split][image.label] += 1
    return splits
