"""Times as records hold them."""

from datetime import UTC, datetime


def utc_now() -> str:
    """Now in UTC, ISO 8601, to the second, as in 2026-11-23T05:16:00Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
