"""Writes images into a dataset's layout: `<target>/<class>/x.png`, or `<target>/<class>/<group>/x.png`."""

import hashlib
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from cli.errors import DataRefused
from contracts.classes import alike
from dataset.importing.account import Account, Candidate, LeftOut
from dataset.importing.dicom import MAX_BYTES, convert, is_dicom
from dataset.importing.dicom import SUFFIXES as DICOM_SUFFIXES
from dataset.importing.keys import GroupNames
from imaging import ImageError
from imaging.kinds import known
from imaging.original import opened

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg"}
_MOST_NAME_BYTES = 200
_DIGITS = 16  # of a file's digest in its name


class Target:
    """`link` names files in a second place instead of copying them.

    Raises:
        DataRefused: two classes would be one folder.
    """

    def __init__(self, root: Path, names: GroupNames, link: bool, account: Account) -> None:
        self._root, self._names, self._link, self._account = root, names, link, account
        # Of two files with one name, each must see whether the other is there: decoding is what threads are for.
        self._writing = threading.Lock()
        self._labels: set[str] = set()

    def take(self, one: Candidate) -> None:
        """Makes `one` an image of the dataset, or says why not."""
        try:
            folder = self._root / _folder_name(one.label)
            data = _read(one.path)
            group = one.group
            converted = is_dicom(data) or one.path.suffix.lower() in DICOM_SUFFIXES
            if converted:
                if len(data) > MAX_BYTES:
                    raise LeftOut(f"more than {MAX_BYTES >> 20} MiB")
                data, patient = convert(data)
                group = group or patient
            opened(data)  # or says why not
        except LeftOut as reason:
            self._account.leave_out(str(reason), one.where)
            return
        except ImageError as error:
            self._account.leave_out(str(error), one.where)
            return
        name, digest = self._names.of(group), hashlib.sha256(data).hexdigest()
        # What an image was called may tell the patient, where there are patients.
        stem = digest[:_DIGITS] if name or converted else one.path.stem
        with self._writing:
            self._begin(one.label)
            new = self._put(
                folder / name, stem, _SUFFIXES[known(data) or ""], digest, None if converted else one.path, data
            )
        self._account.take(one.label, name, new)

    def _begin(self, label: str) -> None:
        """Makes the folder of a class, and sees to it that no other class has it: some disks take `Cat` for `cat`."""
        if label in self._labels:
            return
        self._labels.add(label)
        folder = self._root / label
        folder.mkdir(parents=True, exist_ok=True)
        for several in alike(self._labels):
            for other in several:
                if label in several and other != label and (self._root / other).samefile(folder):
                    raise DataRefused(
                        f"Classes '{other}' and '{label}' are one folder on the disk of {self._root}; rename one of "
                        "them, or spell both alike if they are one."
                    )

    def _put(self, folder: Path, stem: str, suffix: str, digest: str, source: Path | None, data: bytes) -> bool:
        """Writes one file; False where it was there already."""
        folder.mkdir(parents=True, exist_ok=True)
        for target in (folder / f"{stem}{suffix}", folder / f"{stem}-{digest[:_DIGITS]}{suffix}"):
            if not target.exists():
                break
            if target.stat().st_size == len(data) and target.read_bytes() == data:
                return False
        # Under a name that no check reads until it is whole.
        draft = folder / f".{os.getpid()}-{digest}{suffix}"
        with suppress(FileNotFoundError):
            draft.unlink()
        try:
            if source is None:
                draft.write_bytes(data)
            elif not self._link:
                shutil.copyfile(source, draft)
            else:
                try:
                    os.link(source.resolve(), draft)
                except OSError:  # on another disk
                    draft.symlink_to(source.resolve())
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
        return True


def _read(path: Path) -> bytes:
    """
    Raises:
        LeftOut: a link to nothing, or a file that may not be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise LeftOut(f"can't be read ({error.strerror})") from None


def _folder_name(label: str) -> str:
    """
    Raises:
        LeftOut: a label that no folder can have.
    """
    if not label:
        raise LeftOut("no label")
    plain = not set(label) & set("/\\\0") and not label.startswith((".", "_")) and label.isprintable()
    if not plain or len(label.encode(errors="surrogateescape")) > _MOST_NAME_BYTES:
        raise LeftOut("a label that can't be the name of a folder")
    return label
