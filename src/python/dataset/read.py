"""One image file: read, decoded where it was not before, measured, and let go."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dataset.facts import Facts, measure
from dataset.folder import File
from dataset.index import Index
from imaging import DEFAULT, ImageError


@dataclass(frozen=True, slots=True)
class Read:
    """A file that is an image."""

    file: File
    facts: Facts

    @property
    def path(self) -> Path:
        return self.file.path

    @property
    def label(self) -> str:
        return self.file.label

    @property
    def sha256(self) -> str:
        return self.facts.sha256


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that can't be read, and why."""

    file: File
    sha256: str  # empty where not even its bytes can be
    problem: str


def read(file: File, index: Index, white: int) -> Read | Unread:
    """Reads all bytes of `file`, whatever is known of it: only what `index` knows by their digest is not decoded."""
    sha256 = ""
    try:
        data = _bytes(file.path, DEFAULT.max_bytes + 1)
        sha256 = hashlib.sha256(data).hexdigest()
        facts = index.get(sha256)
        if facts is None:
            facts = measure(data, sha256, white)
            index.add(facts)
        return Read(file, facts)
    except ImageError as error:
        return Unread(file, sha256, str(error))
    except OSError as error:
        return Unread(file, sha256, f"{error.strerror}.")


def _bytes(path: Path, most: int) -> bytes:
    """The first `most` bytes. Room for those that there are is made, not for all that there might be: for small files
    that takes longer than reading them."""
    with path.open("rb") as stream:
        data = stream.read(min(os.fstat(stream.fileno()).st_size + 1, most))
        # Nothing more, unless the file has just become longer.
        return data + stream.read(most - len(data)) if stream.peek(1) else data
