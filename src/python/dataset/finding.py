"""What a check may find."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset.read import Read


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


def offenders(reads: Sequence[Read], note: str = "") -> list[Offender]:
    return [Offender(one.path, one.label, note) for one in reads]
