"""What changed since a revision, as Git sees it."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli import InfrastructureError, UsageError

# A name on disk is bytes; those that are no UTF-8 must survive the way in and out.
_FILE_NAMES = ("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Changes:
    """Files that differ between `base` and the working tree.

    `base` is None where no trustworthy comparison can be made; `why` then says why in one clause, and everything counts
    as changed.
    """

    base: str | None
    why: str
    present: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def files(self) -> list[str]:
        return sorted({*self.present, *self.deleted})


def repository_root(folder: Path) -> Path:
    """The root of the checkout that `folder` lies in.

    Raises:
        UsageError: `folder` is in no Git checkout.
    """
    result = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=folder, capture_output=True, text=True)
    if result.returncode:
        raise UsageError(f"{folder} is not in a Git checkout; call this inside a clone of the repository.")
    return Path(result.stdout.strip())


def head(root: Path) -> str | None:
    """The commit checked out, or None before the first commit."""
    result = _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return result.stdout.strip() or None


def since(root: Path, revision: str) -> Changes:
    """The changes between `revision` and the working tree, untracked files included.

    A revision that can't be compared with (empty, unknown, not an ancestor, beyond a shallow clone's edge) gives a
    Changes without base: doing too much is safe, doing too little is not.
    """
    if not revision:
        return Changes(None, "there is no revision to compare with, as in a first build")
    shallow = _git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"
    edge = "; this clone is shallow, so history may be cut off (`git fetch --unshallow`)" if shallow else ""
    # --end-of-options: a revision is a name from outside and must never be read as a flag.
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    base = found.stdout.strip()
    if not base:
        return Changes(None, f"revision {revision!r} is unknown here{edge}")
    if head(root) is None or _git(root, "merge-base", "--is-ancestor", base, "HEAD").returncode:
        return Changes(None, f"revision {revision!r} is not an ancestor of HEAD{edge}")
    # Without rename detection a renamed file counts under both its names.
    compared = _git(root, "diff", "--name-status", "--no-renames", "-z", base, "--")
    if compared.returncode:
        # The commit is there and its files are not: a partial clone without its remote, or a damaged one.
        return Changes(None, f"revision {revision!r} can't be read in full{edge}")
    diff = compared.stdout.split("\0")
    pairs = list(zip(diff[0::2], diff[1::2], strict=False))
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z", check=True).stdout.split("\0")
    present = {path for status, path in pairs if status != "D"} | {path for path in untracked if path}
    deleted = {path for status, path in pairs if status == "D"} - present
    return Changes(base, "", tuple(sorted(present)), tuple(sorted(deleted)))


def state_of(root: Path) -> str:
    """A digest of what is checked out at `root`: the commit, and everything the working tree adds to it."""
    digest = hashlib.sha256((head(root) or "").encode())
    digest.update(_git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all").stdout.encode(*_FILE_NAMES))
    digest.update(_git(root, "diff", "HEAD", "--binary", "--no-ext-diff").stdout.encode(*_FILE_NAMES))
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z").stdout.split("\0")
    for path in sorted(filter(None, untracked)):
        file = root / path
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


def _git(root: Path, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    encoding, errors = _FILE_NAMES
    command = ["git", *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, encoding=encoding, errors=errors)
    if check and result.returncode:
        raise InfrastructureError(f"git {arguments[0]} failed in {root}: {result.stderr.strip()}.")
    return result
