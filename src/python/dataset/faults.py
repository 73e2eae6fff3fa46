"""What breaks a dataset's shape, and refuses it past a limit: no model may learn from it as it is."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from contracts.classes import in_one_form
from dataset.finding import Finding, Offender
from dataset.read import Read
from dataset.scan import Scan
from dataset.skew import Previous


class Allowed(Protocol):
    @property
    def max_unreadable(self) -> float: ...
    @property
    def max_conflicts(self) -> float: ...
    @property
    def classes(self) -> Sequence[str]: ...


def unreadable(found: Scan, limits: Allowed) -> list[Finding]:
    findings = []
    if found.unreadable:
        count = len(found.unreadable)
        listed = [Offender(one.file.path, one.file.label, one.problem) for one in found.unreadable]
        # What is wrong with most of them comes before the accident of which is the first.
        problem, alike = Counter(one.problem for one in found.unreadable).most_common(1)[0]
        example = next(one.file.path for one in found.unreadable if one.problem == problem)
        why = f"of {alike}, such as {example}: {problem}" if alike > 1 else f"the first is {example}: {problem}"
        if count > limits.max_unreadable * found.files:
            message = (
                f"{count} of {found.files} images can't be read, more than the {limits.max_unreadable:.1%} allowed; "
                f"{why} Replace or remove them, or raise max_unreadable under [dataset]."
            )
            findings.append(Finding("unreadable", message, True, listed))
        else:
            message = f"{count} of {found.files} images can't be read and are left out; {why}"
            findings.append(Finding("unreadable", message, False, listed))
    left_out = {one.label for copies in (*found.conflicts, found.between) for one in copies}
    for label, count in found.dataset.counts().items():
        if not count and label not in left_out:
            message = f"Not one image of class folder {found.dataset.root / label} can be read; replace its files."
            findings.append(Finding("empty-class", message, True))
    return findings


def conflicts(found: Scan, limits: Allowed) -> list[Finding]:
    if not found.conflicts:
        return []
    count = sum(map(len, found.conflicts))
    one, other = _of_two_labels(found.conflicts[0])
    more = f" ({len(found.conflicts) - 1} more images are too)" if len(found.conflicts) > 1 else ""
    both = f"The same image is labelled '{one.label}' and '{other.label}': {one.path} and {other.path}{more}; "
    listed = [
        Offender(copy.path, copy.label, "also in " + ", ".join(sorted({c.label for c in copies} - {copy.label})))
        for copies in found.conflicts
        for copy in copies
    ]
    refused = count > limits.max_conflicts * found.files
    way_out = "keep the right one and remove the other." if refused else "all copies are left out."
    return [Finding("conflict", both + way_out, refused, listed)]


def _of_two_labels(copies: list[Read]) -> tuple[Read, Read]:
    return copies[0], next(copy for copy in copies if copy.label != copies[0].label)


def classes(found: Scan, limits: Allowed, previous: Previous | None) -> list[Finding]:
    """Vanished and unexpected classes, and such as are too small to be on every side of the split."""
    labels = set(found.dataset.labels)
    expected = {in_one_form(label) for label in limits.classes or (previous.classes if previous else ())}
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
