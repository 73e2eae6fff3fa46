"""The dataset that a new one is held against: a version's, as its record tells, or that of an earlier check."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError
from dataset.skew import Previous
from dataset.split import DEFAULT, Split

if TYPE_CHECKING:
    from contracts.record import Record
    from registry import Registry


def of_registry(registry: "Registry") -> Previous | None:
    """Production's dataset, or that of the newest version that may become it; None where there is neither."""
    stable = registry.serving().stable
    if stable is not None:
        return of_record(registry.record(stable))
    waiting = [record for record in registry.records() if record.state in ("candidate", "tested") and record.dataset]
    return of_record(waiting[-1]) if waiting else None


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
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        used = values["dataset"]
        classes = {str(label): int(count) for label, count in used["classes"].items()}
        return Previous(path.name, classes, str(used["fingerprint"]), dict(used["statistics"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise UsageError(
            f"{path} does not describe a dataset; name the file of an earlier `check --json`, or a version's record."
        ) from None


def rules_of(record: "Record | None") -> tuple[Split, ...]:
    """What the images of a version and all its ancestors were split by; by the default where a record does not say."""
    used = record.dataset if record else None
    return tuple(Split(rule.test, rule.validation) for rule in used.splits) if used and used.splits else DEFAULT
