"""Versions that await the checks of their run: candidates once those have passed, rejected when they have not."""

from datetime import UTC, datetime

from contracts.record import Verdict
from settings import Settings


def admit(settings: Settings, version: int, checked: bool) -> None:
    """Makes it a candidate; `checked` is False where the checks were left out after all.

    Raises:
        UnknownVersion: it was rejected meanwhile.
    """
    from registry import Registry

    Registry.open(settings.registry.uri, settings.model.name).admit(version, checked)


def told(rejected: list[int]) -> str:
    """Which versions were rejected, as the end of a sentence."""
    if not rejected:
        return "nothing was made yet."
    return f"version {', '.join(map(str, rejected))} is rejected and can be neither tested nor promoted."


def withdraw(settings: Settings, run: str, why: str) -> list[int]:
    """Rejects the versions that await the checks of `run`, for the reason `why`, and returns them, ascending."""
    from registry import Registry

    registry = Registry.open(settings.registry.uri, settings.model.name)
    found = [record.version for record in registry.records() if record.awaits == run and record.state == "training"]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    for version in found:
        reasons = [f"the checks of its commit failed: {why}"]
        registry.withdraw(version, Verdict(kind="gate", passed=False, reasons=reasons, at=at))
    return found
