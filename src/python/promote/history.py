"""What was in production when, from the journal."""

from dataclasses import dataclass
from datetime import UTC, datetime

from cli.errors import UsageError
from registry import Entry


@dataclass(frozen=True)
class Period:
    """A time in which one version, or none, was in production; `ended` is None while it lasts."""

    version: int | None
    began: str
    ended: str | None
    # What tells of it.
    entry: Entry


def periods(entries: list[Entry]) -> list[Period]:
    """All of them in order. A period begins a moment early at the most: its time is taken before the change."""
    switches: list[tuple[int | None, str, Entry]] = []
    for entry in entries:
        if entry.action in ("promote", "rollback"):
            switches.append((entry.version, entry.since or entry.at, entry))
        elif entry.action == "undo" and entry.since:  # undone after the label had moved
            before = entry.after if isinstance(entry.after, int) else None
            switches += [(entry.version, entry.since, entry), (before, entry.at, entry)]
    ends = [*(began for _, began, _ in switches[1:]), None]
    return [Period(version, began, end, entry) for (version, began, entry), end in zip(switches, ends, strict=False)]


def at(entries: list[Entry], time: datetime) -> Period | None:
    """What was in production at a time; None before the first promotion, and after one that was undone."""
    begun = [period for period in periods(entries) if _time(period.began) <= time]
    return begun[-1] if begun and begun[-1].version is not None else None


def parse_time(text: str) -> datetime:
    """A time as people write it, 2026-11-25 or 2026-11-25T14:30 or with Z or +01:00; UTC unless it says otherwise.

    Raises:
        UsageError: it is no time.
    """
    try:
        return _time(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time; write it as 2026-11-25T14:30Z, or with an offset.") from None


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
