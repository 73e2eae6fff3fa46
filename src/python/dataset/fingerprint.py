"""One value for all the images of a dataset."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_BLOCK = 1 << 20  # bytes


def fingerprint(files: Iterable[tuple[str, str]]) -> str:
    """sha256 over the sorted (class, sha256 of the bytes) of all files, each pair once; all in hexadecimal."""
    lines = sorted({f"{label}\0{sha256}\n" for label, sha256 in files})
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def digest(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
