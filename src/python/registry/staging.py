"""Files and folders in the making, put aside until they are whole.

Their maker holds a lock on each; the kernel frees it when the process ends, however it ends. So an entry that can be
locked belongs to nobody any more, and may be removed.
"""

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.errors import Immutable, Tampered
from registry.manifest import Difference, compare, manifest_of

# Copied after everything else, so that no server takes a folder in the making for a model.
LAST_FILE = "saved_model.pb"
# With a leading dot it is neither a key nor a version number.
STAGING = ".staging"


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
    refuse(source, compare(manifest_of(source), manifest))

    def copy(folder: Path) -> None:
        for name in sorted(manifest, key=lambda name: (name == LAST_FILE, name)):
            _copy(source / name, folder / name)

    with filled_folder(area, copy, manifest, source) as path:
        yield path


@contextmanager
def filled_folder(
    area: Path, fill: Callable[[Path], None], manifest: Mapping[str, str], source: object
) -> Iterator[Path]:
    """A folder of `area` that `fill` brought files to, from `source`; on disk to stay, read back and compared.

    Raises:
        Tampered: the files are not those of `manifest`.
    """
    with _entry(area, folder=True) as (path, _):
        fill(path)
        for folder, _folders, _files in os.walk(path, topdown=False):
            sync_folder(Path(folder))
        refuse(source, compare(manifest_of(path), manifest))
        yield path


def appear(staged: Path, target: Path) -> None:
    """Renames a staged folder to `target`, whole or not at all.

    Raises:
        Immutable: there is something already.
    """
    make_folder(target.parent)
    try:
        os.rename(staged, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise Immutable(f"{target} exists; what is there is never overwritten.") from None
        raise
    sync_folder(target.parent)


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
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # SMB writes names at once
            raise
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


def refuse(source: object, difference: Difference) -> None:
    if difference:
        raise Tampered(f"The files in {source} are not those that were recorded ({difference}).", difference)


@contextmanager
def _entry(area: Path, folder: bool) -> Iterator[tuple[Path, int]]:
    make_folder(area)
    while True:
        path = area / uuid.uuid4().hex
        if folder:
            os.mkdir(path)
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:  # a sweep has come already
                continue
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
