"""Which files of a dataset folder are its images.

`<root>/<class>/images/*` is Kaggle's layout (its `masks` folders and spreadsheets beside are not images), and
`<root>/<class>/*` the plain one; both may be mixed. A class is named by its folder.
"""

from pathlib import Path

from cli.errors import DataRefused

SUFFIXES = (".png", ".jpg", ".jpeg")
IMAGES = "images"


def find(root: Path) -> dict[str, list[Path]]:
    """The image files of every class, both sorted.

    Raises:
        DataRefused: no such folder, fewer than two classes, or a class without images.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DataRefused(f"Dataset folder {root} {what}; name a folder that holds one folder of images per class.")
    try:
        classes = sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith((".", "_")))
        found = {folder.name: _images(folder) for folder in classes}
    except OSError as error:
        raise DataRefused(f"{error.filename} can't be read ({error.strerror}); give yourself access to it.") from None
    if not found:
        raise DataRefused(
            f"Dataset folder {root} holds no class folders; put the images of each class into a folder of its name."
        )
    empty = [label for label, images in found.items() if not images]
    if empty:
        raise DataRefused(
            f"Class folder {root / empty[0]} holds no {', '.join(SUFFIXES)} files, neither directly nor under "
            f"'{IMAGES}'; add some or remove the folder{_others(empty)}."
        )
    if len(found) < 2:
        raise DataRefused(
            f"Dataset folder {root} holds just one class, '{classes[0].name}'; a classifier needs two or more."
        )
    return found


def _images(folder: Path) -> list[Path]:
    places = [folder, folder / IMAGES]
    return sorted(
        path
        for place in places
        if place.is_dir()
        for path in place.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _others(labels: list[str]) -> str:
    return f" (so do {len(labels) - 1} more)" if len(labels) > 1 else ""
