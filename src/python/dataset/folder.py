"""Which files of a dataset folder are its images, and what else lies there.

`<root>/<class>/images/*` is Kaggle's layout (its `masks` folders and spreadsheets beside are not images), and
`<root>/<class>/*` the plain one; both may be mixed. Where groups are told by folder, `<root>/<class>/<group>/*` is read
too. A class is named by its folder.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.errors import DataRefused
from contracts.classes import in_one_form
from contracts.grouping import FOLDER, NONE
from dataset import layout

SUFFIXES = layout.SUFFIXES
IMAGES = layout.IMAGES


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    label: str
    # The sub-folder of its class that it was found in, where those are read.
    folder: str = ""


@dataclass
class Found:
    """`files` are sorted by class and path. Of what is passed over there are counts."""

    root: Path
    files: list[File] = field(default_factory=list)
    # Files in class folders, by their suffix in lower case.
    others: Counter[str] = field(default_factory=Counter)
    # Images in sub-folders of classes, by the sub-folder's name.
    deeper: Counter[str] = field(default_factory=Counter)
    # Images whose names, or whose folders' names, begin with a dot or an underscore.
    hidden: int = 0
    # Files beside the class folders.
    beside: list[str] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        return sorted({file.label for file in self.files})


def find(root: Path, groups: str = NONE, classes: Sequence[str] = ()) -> dict[str, list[Path]]:
    """The image files of every class, both sorted; `groups` and `classes` are those of [dataset].

    Raises:
        DataRefused: no such folder, fewer than two classes, or a class without images.
    """
    by_label: dict[str, list[Path]] = {}
    for file in look(root, groups == FOLDER, classes).files:
        by_label.setdefault(file.label, []).append(file.path)
    return by_label


def look(root: Path, by_folder: bool = False, classes: Sequence[str] = ()) -> Found:
    """What lies in the dataset folder `root`. `by_folder` reads sub-folders of classes; `classes` are names that make a
    class of any folder, also of one that looks like part of a split.

    Raises:
        DataRefused: as `find`; or its folders are no classes.
    """
    if not root.is_dir():
        raise DataRefused(layout.no_folder(root))
    try:
        folders = _class_folders(root)
        layout.require_classes(root, folders, classes)
        found = Found(root)
        empty = []
        for folder in folders:
            before = len(found.files)
            _take(found, folder, by_folder)
            if len(found.files) == before:
                empty.append(folder)
        found.beside = sorted(e.name for e in os.scandir(root) if e.is_file() and not e.name.startswith((".", "_")))
        found.hidden += sum(
            _images_below(Path(e)) for e in os.scandir(root) if e.is_dir() and e.name.startswith((".", "_"))
        )
    except OSError as error:
        raise DataRefused(f"{error.filename} can't be read ({error.strerror}); check its permissions.") from None
    # A folder beside one of the same class may be empty: names in two forms of Unicode are one class.
    labels = set(found.labels)
    if empty := [folder for folder in empty if label_of(folder) not in labels]:
        raise DataRefused(layout.no_images(root, empty, found))
    if len(labels) < 2:
        raise DataRefused(layout.one_class(root, folders[0]))
    found.files.sort(key=lambda file: (file.label, file.path.parts))
    return found


def by_count(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent first; in an order that the file system has no say in."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def label_of(folder: Path) -> str:
    return in_one_form(folder.name)


def _class_folders(root: Path) -> list[Path]:
    return sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith((".", "_")))


def _take(found: Found, folder: Path, by_folder: bool) -> None:
    """Adds what lies in a class folder."""
    label = label_of(folder)
    inner = folder / IMAGES
    places = [folder, inner] if inner.is_dir() else [folder]
    for place in places:
        for entry in os.scandir(place):
            path = Path(entry)
            if entry.is_dir():
                if path == inner:
                    continue
                # Beside Kaggle's `images` lie masks, which are no images of anything.
                if by_folder and place == places[-1] and not entry.name.startswith((".", "_")):
                    found.files += [File(image, label, entry.name) for image in _walk(found, path)]
                else:
                    found.deeper[entry.name] += _images_below(path)
            # A link to nothing, as of images that nobody has fetched, is one that can't be read, and told as such.
            elif (kept := _sorted_out(found, path)) and (entry.is_file() or entry.is_symlink()):
                found.files.append(File(kept, label))


def _walk(found: Found, folder: Path) -> Iterator[Path]:
    for inside, _, names in os.walk(folder):
        for name in names:
            if path := _sorted_out(found, Path(inside, name)):
                yield path


def _sorted_out(found: Found, path: Path) -> Path | None:
    """`path` if it is an image; otherwise it is counted."""
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        found.hidden += suffix in SUFFIXES
    elif suffix not in SUFFIXES:
        found.others[suffix] += 1
    else:
        return path
    return None


def _images_below(folder: Path) -> int:
    return sum(Path(name).suffix.lower() in SUFFIXES for _, _, names in os.walk(folder) for name in names)
