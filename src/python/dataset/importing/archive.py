"""Unpacks what may be images from an archive. Whatever an archive says, nothing is written outside of one folder."""

import errno
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import IO

from cli.errors import DataRefused
from dataset.importing.account import Account, Progress
from dataset.importing.dicom import MAX_BYTES
from dataset.importing.dicom import SUFFIXES as DICOM_SUFFIXES
from dataset.layout import SUFFIXES
from dataset.stores import is_plain

# Of DICOM and CSV files too; a file's own suffix may be missing.
_WANTED = (*SUFFIXES, *DICOM_SUFFIXES, ".csv", ".tsv", "")
_BLOCK = 1 << 20
_SHOWN = 100  # characters of a long name
# Too long, or with a file where others have a folder.
_NO_NAME = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL)
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class _Member:
    name: str
    # None for a link, a device or a file that needs a password.
    content: Callable[[], IO[bytes]] | None


def unpack(archive: Path, folder: Path, account: Account, progress: Progress) -> None:
    """Writes the images, DICOM files and tables of a ZIP or TAR file into `folder`, as the archive names them.

    Raises:
        DataRefused: it is no such archive, or damaged.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                members = [_of_zip(packed, info) for info in packed.infolist() if not info.is_dir()]
                for done, member in enumerate(members, start=1):
                    _write(member, folder, account)
                    progress(done, len(members))
            return
        with tarfile.open(archive) as packed_too:
            several = list(_of_tar(packed_too))
            for done, member in enumerate(several, start=1):
                _write(member, folder, account)
                progress(done, len(several))
    except _DAMAGED as error:
        if archive.suffix.lower() in (*SUFFIXES, *DICOM_SUFFIXES):
            raise DataRefused(
                f"{archive} is one image; name the folder that holds one folder of images per class."
            ) from None
        why = str(error).partition("\n")[0].rstrip(":")  # tarfile lists what each of its formats says
        raise DataRefused(f"{archive} is no ZIP or TAR file, or damaged ({why}); download it again.") from None


def _of_zip(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    mode = info.external_attr >> 16
    usable = (not mode or stat.S_IFMT(mode) in (0, stat.S_IFREG)) and not info.flag_bits & 1
    return _Member(info.filename, (lambda: packed.open(info)) if usable else None)


def _of_tar(packed: tarfile.TarFile) -> Iterator[_Member]:
    for info in packed:
        if info.isdir():
            continue

        def content(info: tarfile.TarInfo = info) -> IO[bytes]:
            stream = packed.extractfile(info)
            assert stream is not None  # it is a file
            return stream

        yield _Member(info.name, content if info.isreg() else None)


def _is_wanted(name: Path) -> bool:
    suffix = name.suffix.lower()
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
    # What a scanner wrote is often called by a number with dots in it.
    return not hidden and (suffix in _WANTED or suffix[1:].isdigit())


def _write(member: _Member, folder: Path, account: Account) -> None:
    # Archives that Windows made may write folders so.
    name = member.name.replace("\\", "/").removeprefix("./")
    if not is_plain(name):
        account.leave_out("a name in the archive that leads outside of it", repr(member.name))
    elif not _is_wanted(Path(name)):
        account.leave_out(f"no image ({Path(name).suffix.lower() or 'hidden'})", name)
    elif member.content is None:
        account.leave_out("a link or device in the archive, or a file that needs a password", name)
    else:
        try:
            _unpack_one(member.content, name, folder, account)
        except OSError as error:
            if error.errno not in _NO_NAME:
                raise
            account.leave_out("a name in the archive that no file can have here", name[:_SHOWN])


def _unpack_one(content: Callable[[], IO[bytes]], name: str, folder: Path, account: Account) -> None:
    if (target := folder / name).exists():
        account.leave_out("a second file of that name in the archive", name)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with content() as stream, target.open("xb") as written:
        left = MAX_BYTES
        while block := stream.read(_BLOCK):
            left -= len(block)
            if left < 0:
                break
            written.write(block)
    if left < 0:
        target.unlink()
        account.leave_out(f"more than {MAX_BYTES >> 20} MiB", name)
