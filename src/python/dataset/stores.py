"""Where files of a dataset come from: a folder, or a bucket of Cloud Storage; and how they come to this machine."""

import base64
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from cli.errors import DataRefused, InfrastructureError, UsageError
from contracts import location
from contracts.location import InBucket
from dataset.pool import in_order

_AT_ONCE = 8  # files
_BLOCK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a dataset, and the names under which a store may hold it."""

    path: PurePosixPath
    md5: str  # hexadecimal, of the content
    keys: tuple[str, ...]


class Store(Protocol):
    where: str

    def get(self, key: str, target: Path) -> bool:
        """Writes the content of `key` to `target`, a new file; False if there is none."""


class FolderStore:
    def __init__(self, root: Path) -> None:
        self.root, self.where = root, str(root)

    def get(self, key: str, target: Path) -> bool:
        source = self.root / key
        try:
            if not source.is_file():
                return False
            try:
                # No second copy of what already lies on this disk. Nobody writes to a dataset's files.
                os.link(source.resolve(), target)
            except OSError:
                shutil.copyfile(source, target)
        except OSError as error:
            raise InfrastructureError(f"{source} can't be read ({error.strerror}); try again.") from None
        return True


class CloudStore:
    """The objects of a bucket whose names begin with a prefix."""

    def __init__(self, place: InBucket) -> None:
        # Imported here: it takes a second, which a folder should not cost.
        from registry.cloud import TIMEOUT_SECONDS, Cloud

        self.where = str(place)
        # Tried again by Cloud alone.
        self._once: dict[str, Any] = {"retry": None, "timeout": TIMEOUT_SECONDS}
        self._cloud = Cloud(place.bucket)
        self._prefix = f"{place.prefix.strip('/')}/" if place.prefix.strip("/") else ""

    def get(self, key: str, target: Path) -> bool:
        from registry.cloud import exceptions

        blob = self._cloud.bucket.blob(self._prefix + key)
        try:
            self._cloud.call(lambda: blob.download_to_filename(str(target), **self._once))
        except exceptions.NotFound:
            return False
        return True

    def entries(self) -> list[Entry]:
        """All objects below the prefix; their names are taken relative to it.

        Raises:
            DataRefused: there is none, or one whose name or checksum is of no use.
        """
        from registry.cloud import exceptions

        try:
            blobs = self._cloud.call(lambda: list(self._cloud.bucket.list_blobs(prefix=self._prefix, **self._once)))
        except exceptions.NotFound:
            raise DataRefused(f"There is no bucket for {self.where}; name another.") from None
        # A name that ends like this stands for a folder.
        found = [self._entry(blob) for blob in blobs if not blob.name.endswith("/")]
        if not found:
            raise DataRefused(f"{self.where} holds nothing; name the folder that holds one folder of images per class.")
        return found

    def _entry(self, blob: Any) -> Entry:
        name = blob.name.removeprefix(self._prefix)
        if not is_plain(name) or not blob.md5_hash:
            raise DataRefused(
                f"{self.where}: object {blob.name!r} can't become a file here; copy it under another name."
            )
        return Entry(PurePosixPath(name), base64.b64decode(blob.md5_hash).hex(), (name,))


def is_plain(name: str) -> bool:
    """Whether a name that somebody else wrote stays inside of the folder it is put into."""
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name
    )


def open_store(uri: str, base: Path) -> Store:
    """The store at `uri`; a folder may be relative to `base`.

    Raises:
        DataRefused: neither a folder nor a bucket.
    """
    try:
        place = location.parse(uri, "remote of DVC")
    except UsageError:
        raise DataRefused(
            f"Datasets can't be fetched from {uri}; use a folder or gs://BUCKET/PATH as DVC's remote."
        ) from None
    return CloudStore(place) if isinstance(place, InBucket) else FolderStore((base / place.path).resolve())


def content(key_names: Sequence[str], md5: str, places: Sequence[Store], what: str) -> bytes:
    """The bytes of one small file, checked."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "file"
        _get(Entry(PurePosixPath(what), md5, tuple(key_names)), target, places)
        return target.read_bytes()


def fetch(
    name: str, entries: Sequence[Entry], places: Sequence[Store], progress: Callable[[int, int], None] | None = None
) -> Path:
    """The folder `name` of the cache with all `entries` in it, each held against its MD5.

    Begun again after a kill, it goes on where it was. `progress` hears of (files done, files in all).

    Raises:
        DataRefused: no place holds a file, or what it holds is something else.
        InfrastructureError: a place can't be reached, or the disk is full.
    """
    folder = cache() / name
    if folder.is_dir():
        return folder
    part = cache() / f"{name}.part"
    try:
        for parent in {part / entry.path.parent for entry in entries}:
            parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for done, _ in enumerate(in_order(pool, partial(_fetch_one, part, places), entries), start=1):
                if progress:
                    progress(done, len(entries))
        part.rename(folder)
    except OSError as error:
        # Another process may have been quicker.
        if not folder.is_dir():
            raise InfrastructureError(
                f"Images can't be kept in {part} ({error.strerror}); make room and go on."
            ) from None
    return folder


def cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trainyard" / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _fetch_one(part: Path, places: Sequence[Store], entry: Entry) -> None:
    target = part / entry.path
    if target.exists():
        return
    # Under a name of its own until it is checked: what has its name is whole.
    draft = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        _get(entry, draft, places)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def _get(entry: Entry, target: Path, places: Sequence[Store]) -> None:
    for place in places:
        for key in entry.keys:
            target.unlink(missing_ok=True)
            if not place.get(key, target):
                continue
            if _md5(target) != entry.md5.removesuffix(".dir"):
                raise DataRefused(
                    f"{entry.path} in {place.where} is not the file it was (its MD5 differs); push it again."
                )
            return
    looked = " or ".join(place.where for place in places)
    raise DataRefused(f"{entry.path} (MD5 {entry.md5}) is not in {looked}; `dvc push` it from where it was added.")


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
