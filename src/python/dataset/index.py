"""Facts of images by the digest of their bytes, kept from one check to the next: what was decoded once need not be
again. A cache: it may be deleted, or shared by machines; a damaged part of it is passed over."""

import hashlib
import os
import tempfile
import threading
from collections.abc import Collection
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np

from dataset.facts import ANGLES, PRINT_BYTES, Facts
from dataset.stores import cache

_PRINTS = len(ANGLES) * PRINT_BYTES
_ROW = np.dtype(
    [
        ("sha256", "S64"),
        ("picture", "V16"),
        ("bytes", "<i8"),
        ("width", "<i4"),
        ("height", "<i4"),
        ("kind", "S24"),
        ("brightness", "<f8"),
        ("contrast", "<f8"),
        ("colour", "<f8"),
        ("top", "<i4"),
        ("telling", "?"),
        ("prints", f"V{_PRINTS}"),
    ]
)
# Modules of imaging that decide what is measured.
_DECODING = ("decode", "original", "picture", "whole", "wide")
# Each check that meets new images adds a file; so many are made one.
_MOST_FILES = 16


class Index:
    """Without a folder it knows nothing and keeps nothing."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._files = [rows for path in self._paths() if (rows := _load(path)) is not None]
        self._digests = [np.ascontiguousarray(rows["sha256"]) for rows in self._files]
        self._new: dict[str, Facts] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, place: str, white: int) -> "Index":
        """The index in the folder `place`, by default in the cache of this machine; `white` is what 16-bit samples are
        measured by."""
        libraries = ", ".join(f"{name} {version(name)}" for name in ("pillow", "numpy", "scipy", "imagehash"))
        how = f"{_code()}, {libraries}, {white}"
        root = Path(place) if place else cache() / "facts"
        return cls(root / hashlib.sha256(how.encode()).hexdigest()[:16])

    def get(self, sha256: str) -> Facts | None:
        wanted = sha256.encode()
        for rows, digests in zip(self._files, self._digests, strict=True):
            place = int(np.searchsorted(digests, wanted))
            if place < len(digests) and digests[place] == wanted:
                return _facts(rows[place])
        return None

    def add(self, facts: Facts) -> None:
        with self._lock:
            self._new[facts.sha256] = facts

    def save(self) -> None:
        """Keeps what was added. Where that can't be, the next check decodes once more."""
        if self._folder is None or not self._new:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            paths = self._paths()
            if len(paths) >= _MOST_FILES:
                older = [rows for path in paths if (rows := _load(path)) is not None]
                rows = np.concatenate([_rows(self._new.values()), *older])
                self._write(rows[np.unique(rows["sha256"], return_index=True)[1]])
                # Another check may read one of these now: it then decodes what it misses.
                for path in paths:
                    path.unlink(missing_ok=True)
            else:
                rows = _rows(self._new.values())
                rows.sort(order="sha256")
                self._write(rows)
        except OSError:
            return
        self._new.clear()

    def _paths(self) -> list[Path]:
        try:
            return sorted(self._folder.glob("*.npy")) if self._folder else []
        except OSError:
            return []

    def _write(self, rows: np.ndarray) -> None:
        assert self._folder is not None
        name = hashlib.sha256(rows.view(np.uint8).data).hexdigest()[:32]
        descriptor, draft = tempfile.mkstemp(prefix=".", dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                np.save(stream, rows, allow_pickle=False)
            os.chmod(draft, 0o644)  # others may share it
            os.replace(draft, self._folder / f"{name}.npy")
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise


def _code() -> str:
    """A digest of the code that measures: other code may say something else of the same bytes."""
    sources = [files("dataset") / "facts.py", *(files("imaging") / f"{name}.py" for name in _DECODING)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()


def _load(path: Path) -> np.ndarray | None:
    try:
        rows: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        # Its name is the digest of its content: a file that was cut off or changed is none of ours.
        whole = rows.dtype == _ROW and hashlib.sha256(rows.view(np.uint8).data).hexdigest().startswith(path.stem)
    except (OSError, ValueError, EOFError):
        return None
    return rows if whole and path.stem else None


def _rows(facts: Collection[Facts]) -> np.ndarray:
    rows = np.zeros(len(facts), _ROW)
    for row, one in zip(rows, facts, strict=True):
        for name in _ROW.names or ():
            value = getattr(one, name, bool(one.prints))  # `telling` is no fact of its own
            row[name] = np.void(value.ljust(row[name].itemsize, b"\0")) if isinstance(value, bytes) else value
    return rows


def _facts(row: np.void) -> Facts:
    return Facts(
        sha256=row["sha256"].decode(),
        picture=row["picture"].tobytes(),
        bytes=int(row["bytes"]),
        width=int(row["width"]),
        height=int(row["height"]),
        kind=row["kind"].decode(),
        brightness=float(row["brightness"]),
        contrast=float(row["contrast"]),
        colour=float(row["colour"]),
        top=int(row["top"]),
        prints=row["prints"].tobytes() if row["telling"] else b"",
    )
