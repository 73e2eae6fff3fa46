"""Starts a model: its folder, and a pointer to its images."""

import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path

import settings
from cli.errors import Conflict, InfrastructureError, UsageError
from cli.home import home_expanded
from dataset.folder import find as images_of
from dataset.point import write_pointer
from models import files, templates
from models.find import FOLDER, name_of
from settings.load import file_of

_POINTERS = "datasets"
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
            f"Next: `git add {self.folder.parent.name} {_POINTERS}`, commit, and "
            f"`./pants run src/python/pipeline -- run --since HEAD~1 --model {self.name}` (with --no-check: without "
            "Trainyard's own tests, for a first figure)",
        ]


def start(here: Path, name: str, dataset: str, rgb: bool, own_network: bool) -> Started:
    """Writes models/NAME/ and datasets/NAME.toml into the repository around `here`.

    Raises:
        UsageError: the name can't be one, or `here` is in no repository of Trainyard.
        Conflict: there is such a model.
        DataRefused: the dataset is no folder with one folder of images per class.
    """
    settings_file = file_of(here.resolve())
    if settings_file is None:
        raise UsageError(
            f"{here} is in no repository of Trainyard: there is no trainyard.toml; call this in your clone."
        )
    root = settings_file.parent
    folder = root / FOLDER / name.replace("-", "_")
    if name_of(folder) != name:
        raise UsageError(f"{name!r} can't be a model's name; use up to 63 lower-case letters, digits and '-'.")
    pointer = Path(_POINTERS) / f"{folder.name}.toml"
    for there in (folder, root / pointer):
        if there.exists():
            raise Conflict(f"{there} is there already; choose another name, or remove it.")
    source = home_expanded(dataset).resolve()
    found = images_of(source)
    size = _size([image for images in found.values() for image in images])
    gates, owner = settings.load(root).gates, settings.load(root).mail.owner
    texts = {
        files.MODEL: templates.model_toml(own_network, pointer.as_posix(), size, rgb),
        files.LIMITS: templates.limits_toml(gates.min_accuracy, gates.min_recall, owner),
        files.CARD: templates.card_md(name, list(found), pointer.as_posix()),
        "BUILD": templates.BUILD,
        f"{files.TESTS}/test_{folder.name}.py": templates.test_py(name, list(found)),
    }
    if own_network:
        texts[files.NETWORK] = templates.network_py(name)
    try:
        notes = write_pointer(root / pointer, source, root)
        _write(folder, texts)
    except OSError as error:
        (root / pointer).unlink(missing_ok=True)
        raise InfrastructureError(f"{error.filename or folder} can't be written: {error.strerror}.") from None
    written = [Path(FOLDER) / folder.name / file for file in sorted(texts)]
    return Started(name, folder, [*written, pointer], notes)


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
