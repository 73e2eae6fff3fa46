"""What a folder's file system can do: links, locks, renames, the time of a change, who may read.

A registry relies on all of these, and not every file system has them: vfat, exFAT and SMB know no hard links, vfat
tells times to two seconds, and some that stand for a bucket neither lock nor rename a folder.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from registry.errors import InfrastructureError, UsageError

# What such file systems answer where there are no hard links.
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
# What says nothing of the kind of file system, and may be otherwise the next time.
_OF_THE_MOMENT = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
# Of a file's time, from the finest to vfat's: nanoseconds.
_GRAINS = (1, 100, 1_000, 10_000_000, 1_000_000_000, 2_000_000_000)
_READ_FILE, _READ_FOLDER = 0o044, 0o055


def stamp(path: Path, after: int) -> int:
    """Gives a file a time that is later than `after`, now if that is, and returns it as it is stored: nanoseconds."""
    for grain in _GRAINS:
        moment = max(time.time_ns(), after + grain)
        os.utime(path, ns=(moment, moment))
        stored = os.stat(path).st_mtime_ns
        if stored > after:
            return stored
    raise OSError(errno.ENOTSUP, "the file system keeps no times of changes", str(path))


def linked(staged: Path, path: Path) -> bool:
    """Gives a file a second name, which must be free; False where the file system knows no hard links.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        os.link(staged, path, follow_symlinks=False)
    except OSError as error:
        if error.errno in NO_LINKS:
            return False
        raise
    return True


def appear(staged: Path, path: Path) -> None:
    """Lets a staged file appear under a name that must be free, whole or not at all.

    Raises:
        FileExistsError: the name is taken.
    """
    if linked(staged, path):
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        os.rename(staged, path)
    finally:
        os.close(descriptor)


def share(path: Path, like: Path) -> None:
    """Whoever may read the folder `like` may read what is below `path` too, whatever this process's umask says."""
    allowed = os.stat(like).st_mode & _READ_FOLDER
    for folder, folders, files in os.walk(path) if path.is_dir() else ():
        for names, bits in ((folders, allowed), (files, allowed & _READ_FILE)):
            for name in names:
                with suppress(FileNotFoundError):  # what another process had staged has got its name meanwhile
                    _allow(Path(folder, name), bits)
    _allow(path, allowed if path.is_dir() else allowed & _READ_FILE)


def _allow(path: Path, bits: int) -> None:
    mode = os.stat(path).st_mode & 0o7777
    if mode | bits != mode:
        with suppress(OSError):  # such as vfat, where all files of a mount have one mode
            os.chmod(path, mode | bits)


def require(folder: Path) -> None:
    """Tries in `folder`, or the nearest one above that is there, what a registry relies on; leaves no trace.

    Raises:
        InfrastructureError: it can't be written.
        UsageError: its file system lacks something.
    """
    place = next(one for one in (folder, *folder.parents) if one.is_dir())
    try:
        probe = Path(tempfile.mkdtemp(prefix=".trainyard-", dir=place))
    except OSError as error:
        raise _not_written(folder, place, error) from None
    try:
        for lacking, attempt in (("locks", _locks), ("whole renames", _renames), ("times of changes", _times)):
            try:
                works = attempt(probe)
            except OSError as error:
                if error.errno in _OF_THE_MOMENT:
                    raise _not_written(folder, place, error) from None
                works = False
            if not works:
                raise UsageError(
                    f"The registry {folder} lies on a file system without {lacking}, where two writers could harm each "
                    "other; name a local disk, NFS, or a bucket as gs://BUCKET/FOLDER with --registry."
                )
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _not_written(folder: Path, place: Path, error: OSError) -> InfrastructureError:
    open_files = error.errno in (errno.EMFILE, errno.ENFILE)
    check = "Check the limit of open files (ulimit -n)" if open_files else "Check the permissions and the free space"
    return InfrastructureError(
        f"The registry {folder} can't be written: {error.strerror} ({place}). {check}, or name another place with "
        "--registry."
    )


def _locks(probe: Path) -> bool:
    """Whether a lock on a file, and on a folder, keeps another opening of it out."""
    (probe / "file").write_bytes(b"")
    (probe / "folder").mkdir()
    return all(_excludes(probe / name) for name in ("file", "folder"))


def _excludes(path: Path) -> bool:
    descriptors = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for _ in range(2)]
    try:
        fcntl.flock(descriptors[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(descriptors[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _renames(probe: Path) -> bool:
    """Whether a file replaces another, and a folder appears under a free name and never under one that is taken."""
    for name in ("old", "new"):
        (probe / name).write_text(name)
    os.replace(probe / "new", probe / "old")
    for name in ("one", "two"):
        (probe / name).mkdir()
        (probe / name / "content").write_text(name)
    os.rename(probe / "one", probe / "target")
    try:
        os.rename(probe / "two", probe / "target")
    except OSError:
        whole = (probe / "target" / "content").read_text() == "one"
        return whole and (probe / "old").read_text() == "new" and not (probe / "one").exists()
    return False


def _times(probe: Path) -> bool:
    path = probe / "time"
    path.write_bytes(b"")
    first = stamp(path, 0)
    return stamp(path, first) > first
