"""Calls Git, and says in one sentence what keeps it from answering."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cli.errors import InfrastructureError, UsageError

_OWNER = re.compile(r"detected dubious ownership in repository at '(.+)'")


def git(
    folder: Path, *arguments: str, environment: Mapping[str, str] = os.environ, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """`git` with `arguments`, ended, in `folder`; whether it succeeded is for the caller to see.

    A file's name may be no UTF-8; it survives the way in and out.

    Raises:
        InfrastructureError: there is no such command.
        UsageError: the checkout belongs to somebody else, so Git reads nothing of it.
        subprocess.TimeoutExpired: it did not end within `timeout` seconds.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=timeout,
        )
    except FileNotFoundError:
        if not folder.is_dir():
            raise
        raise InfrastructureError(
            "The command `git` is not installed; install it (on Debian: `apt-get install git`)."
        ) from None
    if done.returncode and (found := _OWNER.search(done.stderr)):
        raise UsageError(
            f"Git reads nothing of {found[1]}, which belongs to another user; if you trust what is in it: "
            f"`git config --global --add safe.directory {found[1]}`."
        )
    return done
