"""What was in production when, from the journal."""

from dataclasses import dataclass
from datetime import UTC, datetime

from cli.errors import UsageError
from registry import Entry


@dataclass(frozen=True)
class Period:
    """A time in which one version was in production; `ended` is None while it lasts."""

    entry: Entry
    ended: str | None

    @property
    def version(self) -> int:
        return self.entry.version


def periods(entries: list[Entry]) -> list[Period]:
    """All of them in order. The journal is written after the switch, so a period begins a moment early at the most."""
    switches = [entry for entry in entries if entry.action in ("promote", "rollback")]
    ends = [entry.at for entry in switches[1:]]
    return [Period(entry, end) for entry, end in zip(switches, [*ends, None], strict=True)] if switches else []


def at(entries: list[Entry], time: datetime) -> Period | None:
    """What was in production at a time; None before the first promotion."""
    begun = [period for period in periods(entries) if _time(period.entry.at) <= time]
    return begun[-1] if begun else None


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
