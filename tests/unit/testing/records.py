"""What model tests need to run on: records that no more than exist, and limits."""

from dataclasses import replace

from contracts.record import Record
from settings import Settings
from testing.subject import Budget


def record(version: int, labels: list[str], **fields: object) -> Record:
    known = {"version": version, "model": "m", "state": "candidate", "kind": "train", "labels": labels}
    return Record.model_validate(known | {"image_size": 8, "created": "now"} | fields)


def budget(**limits: float) -> Budget:
    """The default limits but for `limits`."""
    return replace(Budget.of(Settings()), **limits)
