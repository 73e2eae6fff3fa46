"""A registry in a directory, safe against kills and against others at the same time.

An object is replaced by a rename and created by a link, both of which happen whole or not at all. Compare-and-swap
holds a lock on that one object between the comparison and the rename (docs/decisions/0002); where the file system knows
no links, so does the creation.
"""

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from registry import disk
from registry.errors import Conflict, Immutable, InfrastructureError, Missing
from registry.manifest import manifest_of
from registry.names import check_key
from registry.staging import STAGING, appear, make_folder, staged_file, staged_folder, sweep, sync_folder

LOCK_WAIT_SECONDS = 10.0
_LOCK_POLL_SECONDS = 0.005
# Names with a leading dot are never keys, nor version numbers.
_LOCKS = ".locks"


class DirectoryStore:
    """One model's folder of a registry; made at the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def require_writable(self) -> None:
        disk.require(self.root.absolute())

    def read(self, key: str) -> tuple[bytes, int]:
        with self._disk("read", key):
            try:
                descriptor = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise Missing(key) from None
            with os.fdopen(descriptor, "rb") as file:
                return file.read(), os.fstat(file.fileno()).st_mtime_ns

    def write(self, key: str, data: bytes, if_generation: int | None = None) -> int:
        path = self._path(key)
        with self._disk("written"), staged_file(self._staging(), data) as staged:
            self._make_folder(path.parent)
            self._share(staged)
            if if_generation == 0:
                return self._create(key, staged)
            with self._locked(key):
                current = self._generation(key)
                if if_generation is not None and current != if_generation:
                    raise Conflict(_changed(key))
                # The generation is the modification time, made to grow at every write whatever the clock does.
                generation = disk.stamp(staged, after=current)
                os.replace(staged, path)
            sync_folder(path.parent)
            return os.stat(path).st_mtime_ns if if_generation is None else generation

    def delete(self, key: str, if_generation: int | None = None) -> None:
        path = self._path(key)
        with self._disk("written"), self._locked(key):
            if if_generation is not None and self._generation(key) != if_generation:
                raise Conflict(_changed(key))
            with suppress(FileNotFoundError):
                os.unlink(path)
                sync_folder(path.parent)

    def list(self, prefix: str) -> list[str]:
        folder = check_key(prefix.rstrip("/"))
        with self._disk("read"):
            try:
                entries = list(os.scandir(self.root / folder))
            except FileNotFoundError:
                return []
            keys = [f"{folder}/{entry.name}{'/' if entry.is_dir() else ''}" for entry in entries]
        return sorted(key for key in keys if not key.split("/")[-1].startswith("."))

    def uri(self, key: str) -> str:
        return str(self._path(key).absolute())

    def served_folder(self, prefix: str) -> str:
        return self.uri(prefix)

    def has_folder(self, prefix: str) -> bool:
        with self._disk("read"):
            return self._path(prefix).is_dir()

    def manifest(self, prefix: str) -> dict[str, str]:
        with self._disk("read"):
            return manifest_of(self._path(prefix))

    def put_folder(self, prefix: str, source: Path, manifest: Mapping[str, str]) -> None:
        target = self._path(prefix)
        with self._disk("written"):
            sweep(self.root / STAGING)
            self._appear(target, source, manifest, self._staging())

    def copy_folder(self, source: str, prefix: str, manifest: Mapping[str, str]) -> None:
        self.put_folder(prefix, self._path(source), manifest)

    def get_folder(self, prefix: str, destination: Path, manifest: Mapping[str, str]) -> None:
        with self._disk("copied from"):
            area = destination.parent / STAGING
            try:
                self._appear(destination, self._path(prefix), manifest, area)
            finally:
                with suppress(OSError):
                    os.rmdir(area)  # stays when somebody else copies to the same place

    def remove_folder(self, prefix: str) -> None:
        path = self._path(prefix)
        # Gone at once and as a whole; taking the files apart may then be left to a later sweep.
        aside = self.root / STAGING / uuid.uuid4().hex
        with self._disk("written"):
            if os.path.lexists(path):
                make_folder(aside.parent)
                with suppress(FileNotFoundError):
                    os.rename(path, aside)
                    sync_folder(path.parent)
                shutil.rmtree(aside, ignore_errors=True)

    def sweep(self) -> None:
        with self._disk("written"):
            sweep(self.root / STAGING)

    def _appear(self, target: Path, source: Path, manifest: Mapping[str, str], area: Path) -> None:
        if os.path.lexists(target):
            raise Immutable(f"{target} exists; what is there is never overwritten.")
        for name in manifest:
            check_key(name)
        with staged_folder(area, source, manifest) as staged:
            if target.is_relative_to(self.root):
                self._make_folder(target.parent)
                self._share(staged)
            appear(staged, target)

    def _create(self, key: str, staged: Path) -> int:
        path = self._path(key)
        # Of the staged name: under its own the key may have been replaced by the time it is asked.
        generation = os.stat(staged).st_mtime_ns
        try:
            if not disk.linked(staged, path):
                with self._locked(key):
                    if os.path.lexists(path):
                        raise FileExistsError
                    os.rename(staged, path)
        except FileExistsError:
            raise Conflict(f"{key} exists already.") from None
        sync_folder(path.parent)
        return generation

    def _staging(self) -> Path:
        self._make_folder(self.root)
        return self.root / STAGING

    def _make_folder(self, folder: Path) -> None:
        """Makes a folder of the registry, to be read by all who may read the registry."""
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        make_folder(folder)
        for one in reversed(missing):
            if one.is_relative_to(self.root):
                self._share(one)

    def _share(self, path: Path) -> None:
        """Servers that run as another user must be able to read what a process with a strict umask writes."""
        like = next((one for one in (self.root.parent, self.root) if one.is_dir() and one != path), None)
        if like is not None:
            disk.share(path, like)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _generation(self, key: str) -> int:
        try:
            return os.lstat(self._path(key)).st_mtime_ns
        except FileNotFoundError:
            return 0

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Holds the lock of one object. Its file is never removed: others may be waiting on it."""
        path = self.root / _LOCKS / key.replace("/", "%")
        make_folder(path.parent)
        # Whoever may write to the folder has to be able to lock: a team's umask says so.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            deadline = time.monotonic() + LOCK_WAIT_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Conflict(
                            f"{key} has been locked by another process for {LOCK_WAIT_SECONDS:g} s; "
                            "try again once it has ended."
                        ) from None
                    time.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _disk(self, verb: str, key: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Of an open file, a number.
            name = key if isinstance(error.filename, int) else error.filename
            what = f" ({name})" if name else ""
            raise InfrastructureError(
                f"The registry {self.root} can't be {verb}: {error.strerror or error}{what}. "
                "Check that it is a folder, the permissions and the free space, then run the same command again."
            ) from error


def _changed(key: str) -> str:
    return f"{key} was changed by somebody else meanwhile; try again."
