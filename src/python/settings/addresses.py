"""Mail addresses as people write them into settings."""

import re
from email.errors import HeaderParseError
from email.headerregistry import HeaderRegistry
from typing import Any

# Between addresses; not within quotes or <>, where either may be part of a name.
_BETWEEN = re.compile(r'[,;](?=(?:[^"]*"[^"]*")*[^"]*$)(?![^<]*>)')
_HEADER = HeaderRegistry()


def mail_addresses(text: str) -> str:
    """One address or several, with commas or semicolons between, as a header says them: with commas.

    Raises:
        ValueError: one of them is none.
    """
    parts = [part.strip() for part in _BETWEEN.split(text) if part.strip()]
    for part in parts:
        if not _is_one(part):
            raise ValueError(f"{part!r} is not a mail address")
    if not parts:
        raise ValueError("a mail address is missing")
    return ", ".join(parts)


def _is_one(text: str) -> bool:
    """Whether it is a single address that can be put on the wire, with or without a name before it."""
    try:
        header: Any = _HEADER("To", text)
        found = header.addresses
    except (HeaderParseError, IndexError, ValueError):
        return False
    if len(found) != 1 or header.defects:
        return False
    return bool(found[0].username and found[0].domain and found[0].addr_spec.isascii())
