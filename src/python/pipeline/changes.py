"""What changed since a revision, as Git sees it."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import InfrastructureError, UsageError
from cli.git import git

# What a build server hands over where there was no commit before.
_NO_COMMIT = re.compile(r"0{40}(0{24})?")
# Set where nobody is there to correct a revision that was mistyped, or is gone.
_UNATTENDED = ("CI", "JENKINS_URL")
_SHORT = 12


@dataclass(frozen=True)
class Changes:
    """Files that differ between `base` and the working tree.

    `base` is None where no trustworthy comparison can be made; `why` then says why in one clause, and everything counts
    as changed. `unknown` tells that it is so because there is no such revision here.
    """

    base: str | None
    why: str
    present: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    unknown: bool = False

    @property
    def files(self) -> list[str]:
        return sorted({*self.present, *self.deleted})


def repository_root(folder: Path) -> Path:
    """The root of the checkout that `folder` lies in.

    Raises:
        UsageError: `folder` is in no Git checkout, or in somebody else's.
        InfrastructureError: Git is not installed.
    """
    result = git(folder, "rev-parse", "--show-toplevel")
    if result.returncode:
        raise UsageError(f"{folder} is not in a Git checkout; call this inside a clone of the repository.")
    return Path(result.stdout.strip())


def head(root: Path) -> str | None:
    """The commit checked out, or None before the first commit."""
    result = git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return result.stdout.strip() or None


def is_clean(root: Path) -> bool:
    """Whether the working tree is what its commit says; files that Git ignores do not count."""
    status = git(root, "status", "--porcelain", "--untracked-files=normal")
    return status.returncode == 0 and not status.stdout


def since(root: Path, revision: str) -> Changes:
    """The changes between `revision` and the working tree, untracked files included.

    A revision that names a branch stands for the commit at which HEAD left it; any other is compared as it is, whether
    HEAD descends from it or not. One that can't be compared with (empty, unknown, beyond a shallow clone's edge) gives
    a Changes without base: doing too much is safe, doing too little is not.
    """
    if not revision:
        return Changes(None, "there is no revision to compare with, as in a first build")
    if _NO_COMMIT.fullmatch(revision):
        return Changes(None, "the revision is all zeros, as in a first build")
    shallow = git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"
    edge = "; this clone is shallow, so history may be cut off (`git fetch --unshallow`)" if shallow else ""
    # --end-of-options: a revision is a name from outside and must never be read as a flag.
    found = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    base = found.stdout.strip()
    if not base:
        return Changes(None, f"revision {revision!r} is unknown here{edge}", unknown=True)
    if _is_branch(root, revision):
        # Without a common ancestor in reach the branch itself is compared with, which differs in no less.
        base = git(root, "merge-base", base, "HEAD").stdout.strip() or base
    # Without rename detection a renamed file counts under both its names.
    compared = git(root, "diff", "--name-status", "--no-renames", "--no-ext-diff", "-z", base, "--")
    if compared.returncode:
        # The commit is there and its files are not: a partial clone without its remote, or a damaged one.
        return Changes(None, f"revision {revision!r} can't be read in full{edge}")
    diff = compared.stdout.split("\0")
    pairs = list(zip(diff[0::2], diff[1::2], strict=False))
    listed = git(root, "ls-files", "--others", "--exclude-standard", "-z")
    if listed.returncode:
        raise InfrastructureError(f"git ls-files failed in {root}: {listed.stderr.strip()}.")
    present = {path for status, path in pairs if status != "D"} | set(filter(None, listed.stdout.split("\0")))
    deleted = {path for status, path in pairs if status == "D"} - present
    return Changes(base, "", tuple(sorted(present)), tuple(sorted(deleted)))


def must_be_known(
    found: Changes, revision: str, or_everything: bool, environment: Mapping[str, str] = os.environ
) -> None:
    """Stops what somebody types by hand and mistypes, before it trains everything.

    Raises:
        UsageError: there is no such revision, and nobody has said that everything is meant then.
    """
    if found.unknown and not or_everything and not any(environment.get(name) for name in _UNATTENDED):
        raise UsageError(
            f"R{found.why[1:]}; correct it, or say --or-everything to plan everything (as a build server does)."
        )


def short(commit: str | None) -> str:
    """A commit as it is shown to people."""
    return (commit or "nothing")[:_SHORT]


def content(root: Path, commit: str, places: Sequence[str], wanted: Callable[[str], bool]) -> dict[str, str]:
    """The text of the `wanted` files at or below `places` as they are in `commit`, by path.

    Raises:
        InfrastructureError: they can't be read.
    """
    listed = git(root, "ls-tree", "-r", "-z", "--name-only", commit, "--", *places)
    if listed.returncode:
        raise InfrastructureError(f"The files of {short(commit)} can't be read: {listed.stderr.strip()}.")
    found = {}
    for path in filter(wanted, filter(None, listed.stdout.split("\0"))):
        shown = git(root, "cat-file", "blob", f"{commit}:{path}")
        if shown.returncode:
            raise InfrastructureError(f"{path} of {short(commit)} can't be read: {shown.stderr.strip()}.")
        found[path] = shown.stdout
    return found


def state_of(root: Path) -> str:
    """A digest of what is checked out at `root`: the commit, and everything the working tree adds to it."""
    digest = hashlib.sha256((head(root) or "").encode())
    digest.update(_bytes(git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all").stdout))
    digest.update(_bytes(git(root, "diff", "HEAD", "--binary", "--no-ext-diff").stdout))
    untracked = git(root, "ls-files", "--others", "--exclude-standard", "-z").stdout.split("\0")
    for path in sorted(filter(None, untracked)):
        file = root / path
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_branch(root: Path, revision: str) -> bool:
    if revision.startswith("-"):
        return False
    named = git(root, "rev-parse", "--symbolic-full-name", revision).stdout.strip()
    return named.startswith(("refs/heads/", "refs/remotes/"))
