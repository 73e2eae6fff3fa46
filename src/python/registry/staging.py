"""Files and folders in the making, kept aside until they are whole.

Their maker holds a lock on each; the kernel frees it when the process ends, however it ends. So an entry that can be
locked belongs to nobody any more, and may be removed.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.errors import Tampered
from registry.manifest import Difference, compare, manifest_of

# Copied after everything else, so that no server takes a folder in the making for a model.
LAST_FILE = "saved_model.pb"


@contextmanager
def staged_file(area: Path, data: bytes) -> Iterator[Path]:
    """A file of `area` with `data`, on disk to stay; removed at the end unless it was renamed."""
    with _entry(area, folder=False) as (path, descriptor):
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
        yield path


@contextmanager
def staged_folder(area: Path, source: Path, manifest: Mapping[str, str]) -> Iterator[Path]:
    """A folder of `area` with the files of `source` that `manifest` names, read back and compared.

    Raises:
        Tampered: a file is missing, changed, or there are more.
    """
    # First the source alone: it may hold links or pipes, which nobody should open.
    _refuse(source, compare(manifest_of(source), manifest))
    with _entry(area, folder=True) as (path, _):
        for name in sorted(manifest, key=lambda name: (name == LAST_FILE, name)):
            _copy(source / name, path / name)
        for folder, _folders, _files in os.walk(path, topdown=False):
            sync_folder(Path(folder))
        _refuse(source, compare(manifest_of(path), manifest))
        yield path


def sweep(area: Path) -> None:
    """Removes what ended processes have left in `area`; what is in use, or can't be judged, stays."""
    for path in area.iterdir() if area.is_dir() else ():
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents, to stay."""
    if not folder.is_dir():
        make_folder(folder.parent)
        with suppress(FileExistsError):
            os.mkdir(folder)
        if not folder.is_dir():
            raise NotADirectoryError(20, "a file is in the way of a folder", str(folder))
        sync_folder(folder.parent)


@contextmanager
def _entry(area: Path, folder: bool) -> Iterator[tuple[Path, int]]:
    make_folder(area)
    while True:
        path = area / uuid.uuid4().hex
        if folder:
            os.mkdir(path)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A sweep may have come between the making and the lock.
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                break
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
    try:
        yield path, descriptor
    finally:
        with suppress(OSError):
            _remove(path)
        os.close(descriptor)


def _refuse(source: Path, difference: Difference) -> None:
    if difference:
        raise Tampered(f"The files in {source} are not those that were recorded ({difference}).", difference)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(reading, "rb") as read, target.open("xb") as write:
        shutil.copyfileobj(read, write, 1 << 20)
        write.flush()
        os.fsync(write.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
