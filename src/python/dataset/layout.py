"""Folders that are no classes: a split, numbered parts, one level too high. What they are, and the way out."""

import os
import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import DataRefused
from contracts.classes import in_one_form

if TYPE_CHECKING:
    from dataset.folder import Found

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".jpe")
IMAGES = "images"
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")
_SPLITS = {
    "train", "training", "trainset", "test", "testing", "testset", "val", "valid", "validate", "validation", "dev",
    "holdout", "eval",
}  # fmt: skip
# Names of no meaning, with or without a number: images_001. Digits alone are classes of many a dataset.
_PART = re.compile(
    r"(images?|imgs?|pictures?|pics|files?|data|parts?|batch|chunk|shard|archive|fold|split|vol|zip|masks?|labels?)"
    r"[ _-]?\d*"
)
# Files that show something, and that Trainyard does not read.
_DICOM = (".dcm", ".dicom")
_OTHERS = (".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl")
PICTURES = (*_DICOM, *_OTHERS)
_DEEPEST = 4  # levels below the folder that was named
_IMPORT = "`./pants run src/python/dataset -- import"


def no_folder(root: Path) -> str:
    tried = os.path.abspath(root)
    if not root.exists():
        where = (
            "" if root.is_absolute() else " (relative paths begin where the program runs, with ./pants its own folder)"
        )
        return f"Dataset folder {tried} does not exist{where}; name a folder that holds one folder of images per class."
    if root.suffix.lower() in ARCHIVES:
        return f"{tried} is an archive; {_IMPORT} {_quoted(root)} --to DIR` makes a dataset of it."
    return f"Dataset folder {tried} is a file; name a folder that holds one folder of images per class."


def require_classes(root: Path, folders: Sequence[Path], classes: Sequence[str]) -> None:
    """
    Raises:
        DataRefused: none of the folders, or not one of them, can be a class.
    """
    if not folders:
        raise DataRefused(_no_classes(root))
    wanted = {in_one_form(label) for label in classes}
    if {in_one_form(folder.name) for folder in folders} <= wanted:
        return  # somebody's class is called `test`
    names = ", ".join(folder.name for folder in folders[:4]) + (", …" if len(folders) > 4 else "")
    if is_split(folders):
        raise DataRefused(f"{root} is split into {names}; {_joined(root, folders)}")
    if all(_PART.fullmatch(folder.name.lower()) for folder in folders) and any(map(has_images, folders)):
        raise DataRefused(f"{root} holds parts ({names}), not classes; {_by_labels(root)}")
    if any(map(has_images, folders)):
        return
    # Where several folders hold folders of images, these are patients, or whatever the user says that they are.
    holding = [folder for folder in folders if _images_anywhere(folder)]
    if len(holding) == 1 and (deeper := _deeper(holding)):
        inner = _classes_of(deeper)
        if is_split(inner):
            raise DataRefused(f"The images lie deeper, in {deeper}, split; {_joined(deeper, inner)}")
        raise DataRefused(
            f"The classes ({', '.join(folder.name for folder in inner[:4])}) lie deeper: "
            f"name {deeper} instead of {root}."
        )


def no_images(root: Path, empty: Sequence[Path], found: "Found") -> str:
    more = f" (so do {len(empty) - 1} more)" if len(empty) > 1 else ""
    start = f"Class folder {empty[0]} holds no {', '.join(SUFFIXES)} files, neither directly nor under '{IMAGES}'{more}"
    if found.deeper:
        return (
            f"{start}, but {sum(found.deeper.values())} images in sub-folders. If each sub-folder holds the images of "
            'one patient, set groups = "folder" under [dataset] (`models new`: --groups folder); otherwise move the '
            "images up."
        )
    if found.others:
        kinds = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in sorted(found.others.items()))
        return f"{start}; files of other kinds are not read ({kinds}). {way_out(found.others)}"
    return f"{start}; add some or remove the folder."


def one_class(root: Path, folder: Path) -> str:
    return f"Dataset folder {root} holds just one class, '{folder.name}'; a classifier needs two or more."


def way_out(suffixes: Collection[str]) -> str:
    """How files of other kinds become images."""
    ways = [f"{_IMPORT}` converts DICOM"] if any(suffix in _DICOM for suffix in suffixes) else []
    if convertible := [suffix for suffix in sorted(suffixes) if suffix in _OTHERS]:
        ways.append(f"ImageMagick's `mogrify -format png '*{convertible[0]}'` converts others")
    return f"{'; '.join(ways)}." if ways else "Save them as PNG or JPEG, or remove them."


def has_images(folder: Path) -> bool:
    """Whether images lie in the folder, or in its `images`."""
    return any(
        Path(entry).suffix.lower() in SUFFIXES
        for place in (folder, folder / IMAGES)
        if place.is_dir()
        for entry in os.scandir(place)
    )


def _images_anywhere(folder: Path) -> bool:
    return any(Path(name).suffix.lower() in SUFFIXES for _, _, names in os.walk(folder) for name in names)


def _no_classes(root: Path) -> str:
    if has_images(root):
        return f"{root} holds images but no class folders; {_by_labels(root)}"
    return f"Dataset folder {root} holds no class folders; put the images of each class into a folder of its name."


def _by_labels(root: Path) -> str:
    tables = sorted(path.name for path in root.iterdir() if path.suffix.lower() in (".csv", ".tsv"))
    file = _quoted(root / tables[0]) if tables else "FILE"
    told = f"the labels are in {tables[0]}: " if tables else "where a CSV tells the labels, "
    return f"{told}{_IMPORT} {_quoted(root)} --labels {file} --image-column … --label-column … --to DIR`."


def _joined(root: Path, folders: Sequence[Path]) -> str:
    if any(_classes_of(folder) for folder in folders):
        return f"{_IMPORT} {_quoted(root)} --to DIR` joins them (Trainyard splits by itself)."
    return _by_labels(root)


def _quoted(path: Path) -> str:
    """For a line that is pasted into a shell."""
    return shlex.quote(str(path))


def is_split(folders: Sequence[Path]) -> bool:
    return bool(folders) and all(folder.name.lower() in _SPLITS for folder in folders)


def _classes_of(folder: Path) -> list[Path]:
    try:
        inner = [f for f in sorted(folder.iterdir()) if f.is_dir() and not f.name.startswith((".", "_"))]
        return inner if is_split(inner) or any(map(has_images, inner)) else []
    except OSError:
        return []


def _deeper(folders: Sequence[Path]) -> Path | None:
    """The first folder below that holds classes, the highest first."""
    level = list(folders)
    for _ in range(_DEEPEST):
        for folder in level:
            if len(_classes_of(folder)) > 1:
                return folder
        level = [
            f for folder in level for f in sorted(folder.iterdir()) if f.is_dir() and not f.name.startswith((".", "_"))
        ]
    return None
