"""What came between production's version and another one: commits and images; and who committed what."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from comparison.changed import SAME_IMAGES, Changed, Commit, difference
from contracts.record import DatasetUsed, Record

MOST_COMMITS = 10
_GIT_SECONDS = 10
_REVISION = re.compile(r"([0-9a-f]{7,64})(-dirty)?")
# What can be sent to; anybody who commits writes an address.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
# Where nobody reads: what a hosting service writes for people, and for itself as it merges.
_NOBODY = re.compile(r"no-?reply", re.IGNORECASE)


def changed(record: Record, production: Record | None, folder: Path) -> Changed | None:
    """What differs between the two, as far as they and the checkout around `folder` tell; None without production."""
    if production is None:
        return None
    commits, more = between(folder, production.code.commit, record.code.commit)
    return Changed(commits, more, images(production.dataset, record.dataset))


def between(folder: Path, before: str | None, now: str | None) -> tuple[tuple[Commit, ...], int]:
    """The newest commits that `now` has and `before` has not, newest first, and how many there are beyond them.

    A record without a commit was made from what is checked out. Nothing where Git or the commits are not at hand.
    """
    base, tip = _revision(before), _revision(now) if now else "HEAD"
    if base is None or tip is None:
        return (), 0
    # The end of options: a revision comes from a record, which anybody who can write to the registry may have made.
    span = ["--end-of-options", f"{base}..{tip}", "--"]
    listed = _git(
        folder, "log", "-z", "--no-show-signature", f"--max-count={MOST_COMMITS}", "--format=%h%x00%an%x00%s", *span
    )
    count = _git(folder, "rev-list", "--count", *span)
    if not listed or not count:
        return (), 0
    fields = listed.split("\0")
    commits = tuple(Commit(*fields[i : i + 3]) for i in range(0, len(fields) - 2, 3))
    return commits, int(count) - len(commits)


def of_files(folder: Path, files: Sequence[str], since: str | None = None) -> tuple[tuple[Commit, ...], list[str]]:
    """The newest commits that changed any of `files`, newest first; and the addresses of those who wrote or committed
    them.

    The files are named from the root of the checkout around `folder`. With `since`, those after that commit alone.
    Nothing where Git, or a commit of them, is not at hand.
    """
    base = _revision(since)
    if not files or (since and base is None):
        return (), []
    paths = [f":(top,literal){file}" for file in files]
    span = ["--end-of-options", f"{base}..HEAD" if base else "HEAD", "--", *paths]
    form = "--format=%h%x00%an%x00%s%x00%aE%x00%cE"
    listed = _git(folder, "log", "-z", "--no-show-signature", f"--max-count={MOST_COMMITS}", form, *span)
    fields = listed.split("\0") if listed else []
    commits, addresses = [], []
    for i in range(0, len(fields) - 4, 5):
        commits.append(Commit(*fields[i : i + 3]))
        addresses += [one for one in fields[i + 3 : i + 5] if _ADDRESS.fullmatch(one) and not _NOBODY.search(one)]
    return tuple(commits), list(dict.fromkeys(addresses))


def images(before: DatasetUsed | None, now: DatasetUsed | None) -> str:
    """How the images differ, in words; nothing where a record does not say on which it was made."""
    if before is None or now is None:
        return ""
    return SAME_IMAGES if before.fingerprint == now.fingerprint else difference(before.classes, now.classes)


def _revision(commit: str | None) -> str | None:
    found = _REVISION.fullmatch(commit or "")
    return found[1] if found else None


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-c", "color.ui=false", "-c", "i18n.logOutputEncoding=UTF-8", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
