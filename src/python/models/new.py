"""Starts a model: its folder, and a pointer to its images."""

import os
import shutil
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import settings
from cli.errors import Conflict, InfrastructureError, UsageError
from cli.home import home_expanded
from contracts import location
from contracts.grouping import FOLDER as BY_FOLDER
from contracts.grouping import MARK
from dataset.folder import find as images_of
from dataset.groups import grouping
from dataset.point import write_pointer
from dataset.pointer import locate
from dataset.pool import Progress
from models import files, templates
from models.find import FOLDER, is_name
from settings.load import file_of
from settings.schema import BUILT_IN_DATASETS

_POINTERS = "datasets"
_KINDS_OF_POINTER = (".toml", ".dvc")
_LOOKED_AT = 50  # images
_USUAL, _SMALL, _STEP = 128, 32, 8  # pixels


@dataclass(frozen=True)
class Started:
    name: str
    folder: Path
    files: list[Path]
    # What its reader may not expect.
    notes: list[str]

    def lines(self) -> list[str]:
        return [
            *(f"wrote {file}" for file in self.files),
            *self.notes,
            f"Check it: ./pants run src/python/models -- check {self.name}",
            f"Next: {after_check(self.name, dict.fromkeys(file.parts[0] for file in self.files))}",
        ]


def after_check(name: str, folders: Iterable[str] = (FOLDER, _POINTERS)) -> str:
    """What comes after a model's files are as they should be; `folders` are those that hold them."""
    return (
        f"`git add {' '.join(folders)}`, commit, and "
        f"`./pants run src/python/pipeline -- run --since HEAD~1 --model {name}` "
        "(with --no-check: without Trainyard's own tests, for a first figure)"
    )


def start(
    here: Path,
    name: str,
    dataset: str,
    rgb: bool,
    own_network: bool,
    progress: Progress | None = None,
    groups: str | None = None,
) -> Started:
    """Writes models/NAME/ into the repository around `here` and, for a folder of images, a pointer below datasets/.

    `dataset` may be whatever [dataset] uri may say; `progress` hears of images that are fetched or read. `groups` says
    how images of one patient are told, as [dataset] groups does; None for what trainyard.toml and the folder say.

    Raises:
        UsageError: the name or the dataset can't be one, or `here` is in no repository of Trainyard.
        Conflict: there is such a model.
        DataRefused: the dataset is no folder with one folder of images per class.
        InfrastructureError: the dataset can't be reached, or a file not be written.
    """
    settings_file = file_of(here.resolve())
    if settings_file is None:
        raise UsageError(
            f"{here} is in no repository of Trainyard: there is no trainyard.toml; call this in your clone."
        )
    root = settings_file.parent
    folder = root / FOLDER / name.replace("-", "_")
    if not is_name(name):
        raise UsageError(f"{name!r} can't be a model's name; use up to 63 lower-case letters, digits and '-'.")
    pointer = Path(_POINTERS) / f"{folder.name}.toml"
    uri = _as_it_is(dataset, root)
    for there in [folder, *([] if uri else [root / pointer])]:
        if there.exists():
            raise Conflict(f"{there} is there already; choose another name, or remove it.")
    source = locate(dataset, progress).resolve()
    shared = settings.load(root)
    usual = shared.dataset.groups
    if groups is None:
        groups = BY_FOLDER if (source / MARK).is_file() else usual
    else:
        grouping(groups, source)  # or says why it is none
    found = images_of(source, groups)
    size = _size([image for images in found.values() for image in images])
    gates, owner = shared.gates, shared.mail.owner
    texts = {
        files.MODEL: templates.model_toml(
            own_network, uri or pointer.as_posix(), size, rgb, groups if groups != usual else ""
        ),
        files.LIMITS: templates.limits_toml(gates.min_accuracy, gates.min_recall, owner),
        files.CARD: templates.card_md(name, list(found), uri or pointer.as_posix()),
        "BUILD": templates.BUILD,
        f"{files.TESTS}/test_{folder.name}.py": templates.test_py(name, list(found)),
    }
    if own_network:
        texts[files.NETWORK] = templates.network_py(name)
    try:
        notes = _notes(uri) if uri else write_pointer(root / pointer, source, root, progress, groups)
        _write(folder, texts)
    except OSError as error:
        if not uri:
            (root / pointer).unlink(missing_ok=True)
        raise InfrastructureError(f"{error.filename or folder} can't be written: {error.strerror}.") from None
    written = [Path(FOLDER) / folder.name / file for file in sorted(texts)]
    return Started(name, folder, [*written, *([] if uri else [pointer])], notes)


def _as_it_is(dataset: str, root: Path) -> str:
    """What [dataset] uri says of `dataset`: of a bucket, a pointer, or what is built in; empty for a folder of images,
    which needs a pointer."""
    if location.is_address(dataset) or dataset in BUILT_IN_DATASETS:
        return dataset
    path = home_expanded(dataset).resolve()
    if not path.is_file() or path.suffix not in _KINDS_OF_POINTER:
        return ""
    return os.path.relpath(path, root) if path.is_relative_to(root) else str(path)


def _notes(uri: str) -> list[str]:
    if not location.is_address(uri):
        return []
    return [
        f"No push tells of new images in {uri}: retrain by hand or by the clock, or keep a pointer of DVC in "
        f"{_POINTERS}/ (docs/datasets.md)."
    ]


def _write(folder: Path, texts: dict[str, str]) -> None:
    """All files or none: what was begun stands beside until it is whole."""
    draft = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        for file, text in texts.items():
            (draft / file).parent.mkdir(parents=True, exist_ok=True)
            (draft / file).write_text(text, "utf-8")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _size(images: list[Path]) -> int:
    """Pixels that a network looks at: the usual number or, where the pictures have far fewer, about as many as they."""
    from PIL import Image, UnidentifiedImageError

    sides = []
    for path in images[:: max(1, len(images) // _LOOKED_AT)]:
        try:
            with Image.open(path) as image:
                sides.append(max(image.size))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            continue  # the check of the dataset tells of it
    side = statistics.median(sides) if sides else _USUAL
    return min(_USUAL, max(_SMALL, int(-(-side // _STEP) * _STEP)))
