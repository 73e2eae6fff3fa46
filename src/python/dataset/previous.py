"""The dataset that a new one is held against: a version's, as its record tells, or that of an earlier check."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import UsageError
from dataset.sides import NAME, Sides
from dataset.skew import Previous
from dataset.split import DEFAULT, Split

if TYPE_CHECKING:
    from contracts.record import Record
    from registry import Registry


def of_registry(registry: "Registry") -> Previous | None:
    """Production's dataset, or that of the newest version that may become it; None where there is neither."""
    record = replaced_by_a_new_one(registry)
    return of_record(record) if record else None


def replaced_by_a_new_one(registry: "Registry") -> "Record | None":
    """Production's version, or the newest that may become it."""
    stable = registry.serving().stable
    if stable is not None:
        return registry.record(stable)
    waiting = [record for record in registry.records() if record.state in ("candidate", "tested") and record.dataset]
    return waiting[-1] if waiting else None


def of_record(record: "Record") -> Previous | None:
    used = record.dataset
    if used is None:
        return None
    return Previous(f"version {record.version}", used.classes, used.fingerprint, used.statistics)


def of_file(path: Path) -> Previous:
    """What `check --json` wrote, or a version's record.

    Raises:
        UsageError: it is neither.
    """
    try:
        used = json.loads(path.read_text("utf-8"))["dataset"]
        classes = {str(label): int(count) for label, count in used["classes"].items()}
        return Previous(path.name, classes, str(used["fingerprint"]), dict(used["statistics"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise UsageError(
            f"{path} does not describe a dataset; name the file of an earlier `check --json`, or a version's record."
        ) from None


def rules_of(record: "Record | None") -> tuple[Split, ...]:
    """What the images of a version and all its ancestors were split by; by the default where a record does not say."""
    used = record.dataset if record else None
    return (
        tuple(Split(rule.test, rule.validation, rule.groups) for rule in used.splits)
        if used and used.splits
        else DEFAULT
    )


def sides_of(registry: "Registry", *records: "Record") -> Sides:
    """The sides of the images of these versions and all their ancestors; not `complete` where one kept none."""
    return Sides.together([Sides.of_bytes(registry.read_report(one.version, NAME)) for one in records])


def sides_to_fit(registry: "Registry", own: Split, parent: "Record | None" = None) -> Sides:
    """The sides that a new version has to fit in with: its parent's, or of a version that begins anew those of the one
    it would replace. Where that was split in another way, a new one is split afresh."""
    if parent:
        return sides_of(registry, parent)
    before = replaced_by_a_new_one(registry)
    return Sides(sides_of(registry, before).rows) if before and rules_of(before)[0] == own else Sides()
