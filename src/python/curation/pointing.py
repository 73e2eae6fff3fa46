"""`dataset fetch` and `dataset point`: from a pointer to its images, and back."""

from pathlib import Path
from typing import Annotated

import typer

from cli import DataRefused, UsageError, print_json, progress_console
from cli.home import home_expanded
from contracts.grouping import FOLDER, MARK
from curation.options import AsJson, Dataset, ModelName, require_local, settings_of


def fetch(dataset: Dataset = None, model: ModelName = None, as_json: AsJson = False) -> None:
    """Bring the images that a pointer names to this machine, and print the folder they are in."""
    from cli.progress import shown
    from dataset.layout import no_folder
    from dataset.pointer import locate

    with shown(progress_console(), "Images") as tell:
        folder = locate(dataset or settings_of(model)[0].dataset.uri, tell)
    if not folder.is_dir():
        raise DataRefused(no_folder(folder))
    if as_json:
        print_json({"folder": str(folder)})
    else:
        typer.echo(str(folder))


def point(
    pointer: Annotated[Path, typer.Argument(metavar="FILE", help="The pointer: datasets/NAME.toml.")],
    dataset: Annotated[
        Path | None, typer.Option(help="The folder it points to. Default: the one that it names already.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a pointer to a folder of images, or refresh one after the images changed: what to commit, and to push."""
    from cli.progress import shown
    from dataset.point import write_pointer
    from dataset.pointer import promise

    if pointer.suffix != ".toml":
        raise UsageError(f"{pointer} must end in .toml, as in datasets/xrays.toml.")
    if dataset is not None:
        require_local(dataset, "needs no pointer; name it as it is: --dataset, or uri under [dataset] of a model.toml.")
    before = promise(str(pointer)) if pointer.is_file() else None
    if dataset is None and before is None:
        raise UsageError(f"{pointer} names no folder yet; give --dataset DIR.")
    if pointer.is_file() and before is None:
        raise UsageError(f"{pointer} is another kind of file; name a new one.")
    folder = home_expanded(dataset) if dataset else before.folder  # type: ignore[union-attr]
    with shown(progress_console(), "Images") as tell:
        notes = write_pointer(pointer, folder, _repository(pointer), tell, _groups(pointer, folder))
    after = promise(str(pointer))
    assert after is not None
    same = before is not None and after.fingerprint == before.fingerprint
    if as_json:
        print_json({"folder": str(after.folder), "fingerprint": after.fingerprint, "images": after.images})
    for note in [*notes, f"{pointer}: {after.images} images" + (", as before" if same else "; commit it")]:
        progress_console().print(note, markup=False, soft_wrap=True)


def _groups(pointer: Path, folder: Path) -> str:
    """How images of one patient are told below `folder`, as under [dataset]."""
    import models
    import settings

    if (folder / MARK).is_file():
        return FOLDER
    here = str(pointer.absolute())
    told = [one.settings.dataset.groups for one in models.known() if one.settings.dataset.uri == here]
    return told[0] if told else settings.load().dataset.groups


def _repository(file: Path) -> Path:
    """The folder around `file` that holds trainyard.toml or a checkout's .git; else that of the file."""
    folder = file.resolve().parent
    marks = ("trainyard.toml", ".git")
    return next((one for one in (folder, *folder.parents) if any((one / mark).exists() for mark in marks)), folder)
