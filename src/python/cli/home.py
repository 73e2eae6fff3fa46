"""Paths as people type them."""

from pathlib import Path

from cli.errors import UsageError


def home_expanded(path: str | Path) -> Path:
    """`path` with ~ and ~user replaced by their home folders.

    Raises:
        UsageError: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"'{path}' names a user that this machine does not know; write the whole path.") from None
