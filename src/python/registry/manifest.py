"""The files of a model folder by digest, and how two such lists differ."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.errors import InfrastructureError

# In place of a digest: what is there is a link, a device, a pipe … and never equals a file.
NOT_A_FILE = "not a regular file"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Difference:
    """What a folder has too much, too little, or otherwise; relative paths, sorted."""

    extra: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.extra or self.missing or self.changed)

    def __str__(self) -> str:
        kinds = (("extra", self.extra), ("missing", self.missing), ("changed", self.changed))
        listed = (f"{kind}: {', '.join(map(printable, names))}" for kind, names in kinds if names)
        return "; ".join(listed) or "no difference"


def printable(name: str) -> str:
    """A file's name as a terminal may be shown it: whoever can add a file chooses what it is called."""
    return name if name.isprintable() else ascii(name)[1:-1]


def compare(found: Mapping[str, str], expected: Mapping[str, str]) -> Difference:
    """How `found` differs from `expected`, both relative path -> digest."""
    return Difference(
        extra=tuple(sorted(found.keys() - expected.keys())),
        missing=tuple(sorted(expected.keys() - found.keys())),
        changed=tuple(sorted(name for name in found.keys() & expected.keys() if found[name] != expected[name])),
    )


def manifest_of(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 in hex of every file under `folder`; links are named, never followed.

    Empty folders do not count: a bucket has none. A folder that is not there has no files.

    Raises:
        InfrastructureError: a file or folder can't be read.
    """
    try:
        return dict(sorted(_walk(folder, "")))
    except OSError as error:
        what = error.filename or folder
        raise InfrastructureError(
            f"{what} can't be read: {error.strerror or error}. Check the permissions, then run the same command again."
        ) from error


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    if not prefix and folder.is_symlink():
        yield ".", NOT_A_FILE
        return
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), name + "/")
        elif entry.is_file(follow_symlinks=False):
            yield name, digest(Path(entry.path))
        else:
            yield name, NOT_A_FILE


def digest(path: Path) -> str:
    """sha256 in hex of a file."""
    hashed = hashlib.sha256()
    # O_NOFOLLOW: the entry may have become a link since it was listed.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hashed.update(chunk)
    return hashed.hexdigest()
