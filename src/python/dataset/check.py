"""Whether a dataset may be learnt from. What breaks its shape refuses it; what moved in it is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cli.errors import DataRefused
from dataset.model import Dataset
from dataset.read import Progress, Read
from dataset.scan import Scan, scan_folder
from dataset.skew import Previous, skew
from dataset.split import DEFAULT, Split


@dataclass(frozen=True)
class Limits:
    """[dataset] of trainyard.toml, which tells the units."""

    max_unreadable: float = 0.01
    max_conflicts: float = 0.0
    max_imbalance: float = 10.0
    max_mix_change: float = 0.1
    max_shift: float = 0.5
    classes: Sequence[str] = ()

    @classmethod
    def of(cls, section: Any) -> "Limits":
        return cls(**{field.name: getattr(section, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Offender:
    path: Path
    label: str
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """Something about a dataset. `refused` means that nothing may be trained on it."""

    kind: str
    message: str
    refused: bool = False
    offenders: list[Offender] = field(default_factory=list)


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
            more = (
                f" ({len(self.refused) - 1} more reasons: see `check --report FILE`)" if len(self.refused) > 1 else ""
            )
            raise DataRefused(self.refused[0].message + more)
        assert self.dataset is not None  # or the folder's shape would have been a reason
        return self.dataset


def check(
    root: Path,
    limits: Limits,
    previous: Previous | None = None,
    progress: Progress | None = None,
    rules: Sequence[Split] = DEFAULT,
) -> Checked:
    """Looks at every image under `root`, and holds them against `limits` and a `previous` dataset."""
    root = Path(root)
    try:
        found = scan_folder(root, progress, rules)
    except DataRefused as error:
        return Checked(root, None, 0, [Finding("layout", str(error), refused=True)], previous)
    findings = [*_unreadable(found, limits), *_conflicts(found, limits), *_classes(found, limits, previous)]
    findings += _duplicates(found)
    # Where a class has no image at all, its figures say nothing.
    if all(found.dataset.counts().values()):
        findings += [Finding(kind, message) for kind, message in skew(found, limits, previous)]
        findings += _odd_pictures(found)
    return Checked(root, found.dataset, found.files, findings, previous)


def scan(
    root: Path, max_unreadable: float, progress: Progress | None = None, rules: Sequence[Split] = DEFAULT
) -> Dataset:
    """The dataset under `root`, held against nothing but the limit on unreadable files.

    Raises:
        DataRefused: it can't be learnt from as it is.
    """
    limits, found = Limits(max_unreadable=max_unreadable), scan_folder(root, progress, rules)
    for finding in [*_unreadable(found, limits), *_conflicts(found, limits)]:
        if finding.refused:
            raise DataRefused(finding.message)
    return found.dataset


def _unreadable(found: Scan, limits: Limits) -> list[Finding]:
    findings = []
    if found.unreadable:
        count, first = len(found.unreadable), found.unreadable[0]
        offenders = [Offender(one.path, one.label, one.problem) for one in found.unreadable]
        if count > limits.max_unreadable * found.files:
            message = (
                f"{count} of {found.files} images can't be read, more than the {limits.max_unreadable:.1%} allowed; "
                f"the first is {first.path}: {first.problem} Replace or remove them, or raise max_unreadable under "
                "[dataset]."
            )
            findings.append(Finding("unreadable", message, True, offenders))
        else:
            message = f"{count} of {found.files} images can't be read and are left out; the first is {first.path}."
            findings.append(Finding("unreadable", message, False, offenders))
    for label, count in found.dataset.counts().items():
        if not count and not any(one.label == label for copies in found.conflicts for one in copies):
            message = f"Not one image of class folder {found.dataset.root / label} can be read; replace its files."
            findings.append(Finding("empty-class", message, True))
    return findings


def _conflicts(found: Scan, limits: Limits) -> list[Finding]:
    if not found.conflicts:
        return []
    count = sum(map(len, found.conflicts))
    one, other = _of_two_labels(found.conflicts[0])
    more = f" ({len(found.conflicts) - 1} more images are too)" if len(found.conflicts) > 1 else ""
    both = f"The same image is labelled '{one.label}' and '{other.label}': {one.path} and {other.path}{more}; "
    offenders = [
        Offender(copy.path, copy.label, "also in " + ", ".join(sorted({c.label for c in copies} - {copy.label})))
        for copies in found.conflicts
        for copy in copies
    ]
    refused = count > limits.max_conflicts * found.files
    way_out = "keep the right one and remove the other." if refused else "all copies are left out."
    return [Finding("conflict", both + way_out, refused, offenders)]


def _of_two_labels(copies: list[Read]) -> tuple[Read, Read]:
    return copies[0], next(copy for copy in copies if copy.label != copies[0].label)


def _classes(found: Scan, limits: Limits, previous: Previous | None) -> list[Finding]:
    """Vanished and unexpected classes, and such as are too small to be on every side of the split."""
    labels = set(found.dataset.labels)
    expected = set(limits.classes) or set(previous.classes if previous else ())
    where = "classes under [dataset] names" if limits.classes else f"{previous.name if previous else ''} has"
    findings = [
        Finding(
            "vanished-class",
            f"Class '{label}', which {where}, is not in {found.dataset.root}; put its folder back, or list the classes "
            "that you want as classes under [dataset] and run train.",
            refused=True,
        )
        for label in sorted(expected - labels)
    ]
    for label in sorted(labels - expected) if expected else []:
        message = (
            f"Class '{label}' is new: {'not among classes under [dataset]' if limits.classes else where + ' none'}."
        )
        findings.append(Finding("new-class", message, refused=bool(limits.classes)))
    findings += [Finding("small-class", message, refused=True) for message in found.dataset.lacking()]
    return findings


def _duplicates(found: Scan) -> list[Finding]:
    if not found.duplicates:
        return []
    extra = found.dataset.statistics["duplicates"]
    saved_anew = sum(len({copy.sha256 for copy in copies}) > 1 for copies in found.duplicates)
    message = f"{extra} of {found.files} files are copies of others in their class, and count once"
    message += f"; of {saved_anew} pictures the copies were saved anew, with other bytes." if saved_anew else "."
    offenders = [
        Offender(copy.path, copy.label, f"copy of {copies[0].path.name}")
        for copies in found.duplicates
        for copy in copies[1:]
    ]
    return [Finding("duplicate", message, False, offenders)]


_BLANK = 3.0  # gray levels of contrast
_FAR = 4.0  # deviations


def _odd_pictures(found: Scan) -> list[Finding]:
    """Pictures that show next to nothing, and such as are far darker or brighter than others of their class."""
    blank = [
        Offender(one.path, one.label, f"contrast {one.contrast:.1f}") for one in found.kept if one.contrast < _BLANK
    ]
    far = []
    brightness: Mapping[str, Mapping[str, float]] = found.dataset.statistics["brightness"]
    for one in found.kept:
        own = brightness[one.label]
        if one.contrast >= _BLANK and abs(one.brightness - own["mean"]) > _FAR * max(own["deviation"], 1.0):
            far.append(Offender(one.path, one.label, f"brightness {one.brightness:.0f}, class {own['mean']:.0f}"))
    findings = []
    if blank:
        findings.append(Finding("blank", f"{len(blank)} images show next to nothing.", False, blank))
    if far:
        findings.append(
            Finding("outlier", f"{len(far)} images are far darker or brighter than their class.", False, far)
        )
    return findings
