"""Whether a dataset may be learnt from. What breaks its shape refuses it; what moved in it is reported."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cli.errors import DataRefused
from dataset import faults, notes
from dataset.finding import Finding
from dataset.model import Dataset
from dataset.point import Promise
from dataset.pool import Progress
from dataset.scan import Scan, Terms, scan_folder
from dataset.sides import Sides
from dataset.skew import Previous, skew
from dataset.split import DEFAULT, Split
from imaging import ImageInput


@dataclass(frozen=True)
class Limits:
    """[dataset] of trainyard.toml, which tells the units."""

    max_unreadable: float = 0.01
    max_conflicts: float = 0.0
    max_imbalance: float = 10.0
    max_mix_change: float = 0.1
    max_shift: float = 0.5
    classes: Sequence[str] = ()
    # None for no index.
    index: str | None = None

    @classmethod
    def of(cls, section: Any) -> "Limits":
        return cls(**{field.name: getattr(section, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Checked:
    """`dataset` is None where the folder's shape is wrong."""

    root: Path
    dataset: Dataset | None
    files: int
    findings: list[Finding]
    previous: Previous | None = None

    @property
    def refused(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.refused]

    def require(self) -> Dataset:
        """
        Raises:
            DataRefused: with the first reason.
        """
        if self.refused:
            others = len(self.refused) - 1
            more = f" ({others} more reason{'s' * (others > 1)}: see `check --report FILE`)" if others else ""
            raise DataRefused(self.refused[0].message + more)
        assert self.dataset is not None  # or the folder's shape would have been a reason
        return self.dataset


def check(
    root: Path,
    limits: Limits,
    previous: Previous | None = None,
    progress: Progress | None = None,
    rules: Sequence[Split] = DEFAULT,
    *,
    known: Sides | None = None,
    wanted: ImageInput | None = None,
    promise: Promise | None = None,
) -> Checked:
    """Looks at every image under `root`, and holds them against `limits` and a `previous` dataset.

    `known` are the sides that images have for versions before; `wanted` is what the model sees of an image; `promise`
    is what a pointer says of the folder.
    """
    root = Path(root)
    white = wanted.white if wanted else ImageInput(1).white
    terms = Terms(rules, known or Sides(), limits.classes, limits.index, white)
    try:
        found = scan_folder(root, progress, terms)
    except DataRefused as error:
        why = f"{error} {promise.pointer} names it." if promise else str(error)
        return Checked(root, None, 0, [Finding("layout", why, refused=True)], previous)
    findings = [Finding("pointer", why, refused=True)] if promise and (why := _broken(found, promise)) else []
    findings += faults.unreadable(found, limits) + faults.conflicts(found, limits)
    findings += faults.classes(found, limits, previous)
    findings += (
        notes.alike_classes(found)
        + notes.padded_classes(found)
        + notes.left_out(found)
        + notes.copies(found)
        + notes.near(found)
        + notes.grouping(found)
    )
    # Where a class has no image at all, its figures say nothing.
    if all(found.dataset.counts().values()):
        findings += [Finding(kind, message) for kind, message in skew(found, limits, previous)]
        findings += notes.few(found) + notes.for_the_model(found, wanted) + notes.odd_pictures(found)
    return Checked(root, found.dataset, found.files, findings, previous)


def scan(
    root: Path,
    max_unreadable: float,
    progress: Progress | None = None,
    rules: Sequence[Split] = DEFAULT,
    *,
    known: Sides | None = None,
    classes: Sequence[str] = (),
    index: str | None = None,
    wanted: ImageInput | None = None,
    promise: Promise | None = None,
) -> Dataset:
    """The dataset under `root`, held against nothing but the limit on unreadable files and what a pointer says.

    Raises:
        DataRefused: it can't be learnt from as it is.
    """
    limits, white = Limits(max_unreadable=max_unreadable), (wanted or ImageInput(1)).white
    found = scan_folder(root, progress, Terms(rules, known or Sides(), classes, index, white))
    for finding in [*faults.unreadable(found, limits), *faults.conflicts(found, limits)]:
        if finding.refused:
            raise DataRefused(finding.message)
    if promise and (why := _broken(found, promise)):
        raise DataRefused(why)
    return found.dataset


def _broken(found: Scan, promise: Promise) -> str:
    try:
        promise.require(found.promised, found.files)
    except DataRefused as error:
        return str(error)
    return ""
