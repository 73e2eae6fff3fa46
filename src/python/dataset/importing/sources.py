"""Which files of a folder may become images of the dataset, with their classes."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cli.errors import DataRefused
from dataset import layout
from dataset.folder import File, label_of
from dataset.importing.account import Account, Candidate
from dataset.importing.dicom import SUFFIXES as DICOM_SUFFIXES
from dataset.importing.dicom import is_dicom

_START = 132  # bytes of a file that tell DICOM


def of_folders(root: Path, group_of: Callable[[File], str], account: Account, source: Path) -> list[Candidate]:
    """What lies in folders named by class: directly, below train, val and test, or deeper. `source` is how people know
    `root`: an archive, of which that is the content.

    Raises:
        DataRefused: there are no such folders.
    """
    folders = _class_folders(root)
    if not folders:
        raise DataRefused(
            f"{source} holds no folders of images named by class; where a CSV tells the labels, give --labels FILE."
        )
    found = [one for folder in folders for one in _of_class(folder, root, group_of, account)]
    _pass_over(root, folders, account)
    return found


def walk(root: Path) -> Iterator[Path]:
    """All files below, sorted, without hidden ones."""
    for inside, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        yield from (Path(inside, name) for name in sorted(names) if not name.startswith("."))


def may_be_image(path: Path) -> bool:
    """Whether a file is called like an image or a DICOM file, or is one of the latter without being called so."""
    suffix = path.suffix.lower()
    if suffix in layout.SUFFIXES or suffix in DICOM_SUFFIXES:
        return True
    # What a scanner wrote is often called by a number with dots in it.
    if suffix and not suffix[1:].isdigit():
        return False
    # Neither a folder's name nor a pipe, which would be waited for.
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return is_dicom(stream.read(_START))
    except OSError:
        return False


def _class_folders(root: Path) -> list[Path]:
    folders = [f for f in sorted(root.iterdir()) if f.is_dir() and not f.name.startswith((".", "_"))]
    if layout.is_split(folders):
        return [inner for folder in folders for inner in _class_folders(folder)]
    with_images = [folder for folder in folders if any(may_be_image(path) for path in walk(folder))]
    # An archive's own folder around the classes; but `<class>/images` is a class.
    if len(with_images) == 1 and not any(may_be_image(p) for p in with_images[0].iterdir() if p.is_file()):
        inner = _class_folders(with_images[0])
        if inner and all(folder.name != layout.IMAGES for folder in inner):
            return inner
    return with_images


def _pass_over(root: Path, classes: Sequence[Path], account: Account) -> None:
    """Counts the images that stand in no folder of a class, or where nobody looks, and folders that hold none."""
    for beside in sorted({path for folder in classes for path in folder.parent.iterdir()} - set(classes)):
        if beside.name.startswith((".", "_")) or beside.is_symlink() or not beside.is_dir():
            continue
        if not any(folder.is_relative_to(beside) for folder in classes):
            account.leave_out("a folder without an image", beside.relative_to(root).as_posix())
    for inside, folders, names in os.walk(root):
        below = any(Path(inside).is_relative_to(folder) for folder in classes)
        parts = Path(inside).relative_to(root).parts
        for path in (Path(inside, name) for name in sorted(folders)):
            if path.is_symlink() and path not in classes:
                account.leave_out("a link to a folder", path.relative_to(root).as_posix())
        for path in (Path(inside, name) for name in sorted(names)):
            hidden = path.name.startswith(".") or any(part.startswith((".", "_")) for part in parts)
            if (hidden or not below) and path.suffix.lower() in (*layout.SUFFIXES, *DICOM_SUFFIXES):
                why = "hidden, by a name that begins with . or _" if hidden else "in no folder of a class"
                account.leave_out(why, path.relative_to(root).as_posix())


def _of_class(folder: Path, root: Path, group_of: Callable[[File], str], account: Account) -> Iterator[Candidate]:
    label = label_of(folder).strip()  # a space at its end is nobody's wish
    kaggle = (folder / layout.IMAGES).is_dir()
    for path in walk(folder):
        where, parts = path.relative_to(root).as_posix(), path.relative_to(folder).parts
        if kaggle and len(parts) > 1 and parts[0] != layout.IMAGES:
            account.leave_out(f"in folder '{parts[0]}', beside '{layout.IMAGES}'", where)
            continue
        if not may_be_image(path):
            account.leave_out(f"no image ({path.suffix.lower() or 'without a suffix'})", where)
            continue
        inner = parts[1:] if kaggle and parts[0] == layout.IMAGES else parts
        yield Candidate(path, where, label, group_of(File(path, label, inner[0] if len(inner) > 1 else "")))
