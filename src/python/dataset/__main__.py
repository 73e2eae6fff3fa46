"""The command `dataset`: what a folder of images is worth before anything is learnt from it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import DataRefused, InfrastructureError, UsageError, command_line, print_json, progress_console, run
from cli.home import home_expanded

if TYPE_CHECKING:
    from dataset.sides import Sides
    from dataset.skew import Previous
    from dataset.split import Split
    from imaging import ImageInput
    from settings import Settings

app = command_line(
    "dataset",
    "Makes a dataset of what there is, checks it, fetches the one that a pointer names, and writes pointers.",
    [
        "./pants run src/python/dataset -- import archive.zip --to ./xrays",
        "./pants run src/python/dataset -- import ./nih --labels Data_Entry.csv --image-column 'Image Index' "
        "--label-column 'Finding Labels' --group-column 'Patient ID' --to ./xrays",
        "./pants run src/python/dataset -- check --dataset ./xrays --report check.html",
        "./pants run src/python/dataset -- check --dataset datasets/covid-radiography.dvc --previous 3 --json",
        "./pants run src/python/dataset -- fetch --dataset datasets/covid-radiography.dvc",
        "./pants run src/python/dataset -- point --dataset ./xrays datasets/xrays.toml",
    ],
)

# Files of one reason that are named on the terminal, and in JSON.
_NAMED, _LISTED = 3, 200

Dataset = Annotated[str | None, typer.Option(help="Folder with one folder of images per class, or a pointer to one.")]
ModelName = Annotated[
    str | None, typer.Option("--model", "--model-name", help="The model: its settings, and what it sees of an image.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")]


@app.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A folder of images or DICOM, or a ZIP or TAR file.")
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="The dataset's folder; what is there already stays.")],
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A CSV that tells the classes, where no folders do.")
    ] = None,
    image_column: Annotated[str | None, typer.Option(metavar="NAME", help="Its column of file names.")] = None,
    label_column: Annotated[str | None, typer.Option(metavar="NAME", help="Its column of classes.")] = None,
    group_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its column of patients, whose images stay together.")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="RULE", help="Without such a column: `folder` or `pattern:REGEX`, as in [dataset] groups."
        ),
    ] = None,
    group_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The key by which patients' names become hashes. Default: .trainyard/groups.key."
        ),
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Link image files instead of copying them.")] = False,
    max_conflicts: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of images with several labels that may be left out. Default: settings."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a dataset of what there is: train/val/test folders, a CSV of labels, DICOM, Kaggle's archive.

    DICOM becomes PNG: windowed, MONOCHROME1 inverted, and nothing of a patient in it. Each file that is left out is
    counted, with the reason.
    """
    import settings
    from cli.progress import shown
    from dataset.importing.run import Wanted, run

    table = (image_column, label_column)
    if (labels is None and any((*table, group_column))) or (labels is not None and not all(table)):
        raise UsageError("--labels, --image-column and --label-column belong together; give all three, or none.")
    loaded = settings.load()
    wanted = Wanted(
        home_expanded(source),
        home_expanded(to),
        home_expanded(group_key) if group_key else _home() / ".trainyard" / "groups.key",
        link,
        home_expanded(labels) if labels else None,
        image_column or "",
        label_column or "",
        group_column,
        groups or "",
        loaded.dataset.max_conflicts if max_conflicts is None else max_conflicts,
    )
    console = progress_console()
    with shown(console, "Files") as tell:
        account = run(wanted, tell)
    for one in account.reasons(_NAMED):
        names = ", ".join(one["files"]) + (", …" if one["count"] > _NAMED else "")
        console.print(f"left out {one['count']}: {one['reason']} ({names})", markup=False, soft_wrap=True)
    classes = ", ".join(f"{count} {label}" for label, count in sorted(account.taken.items()))
    there = f"; {account.already} were there already, or are there twice" if account.already else ""
    console.print(f"{account.images} images into {to}: {classes}{there}", markup=False, soft_wrap=True)
    if account.groups:
        console.print(
            f'{len(account.groups)} groups, each in a folder named by a hash: set groups = "folder" under [dataset]. '
            f"Keep {wanted.group_key}: further images of the same patients need it.",
            markup=False,
            soft_wrap=True,
        )
    console.print(f"Next: ./pants run src/python/dataset -- check --dataset {to}", markup=False, soft_wrap=True)
    if as_json:
        print_json(
            {
                "folder": str(to),
                "images": account.images,
                "classes": dict(sorted(account.taken.items())),
                "already": account.already,
                "groups": len(account.groups),
                "left_out": account.reasons(_LISTED),
            }
        )


@app.command()
def check(
    dataset: Dataset = None,
    registry: Annotated[str | None, typer.Option(help="Where the earlier version's record is.")] = None,
    model: ModelName = None,
    previous: Annotated[
        str | None,
        typer.Option(
            help="Hold it against the dataset of a version, of an earlier check's JSON file, or of `none`. Default: "
            "production's version, or else the newest one in testing."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with pictures of the offenders here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at every image: what breaks the dataset's shape ends with exit code 4, what moved in it is reported."""
    from cli.progress import shown
    from dataset import report as reports
    from dataset.check import Limits
    from dataset.groups import described
    from dataset.pointer import examine
    from dataset.split import Split, lineage

    settings, wanted = _settings(model)
    uri = dataset or settings.dataset.uri
    before, rules, known = _previous(previous, registry or settings.registry.uri, settings.model.name)
    own = Split.of(settings.dataset)
    console = progress_console()
    with shown(console, "Images") as tell:
        checked = examine(
            uri, Limits.of(settings.dataset), before, tell, lineage(own, rules), known=known, wanted=wanted
        )
    for finding in checked.findings:
        console.print(f"{'refused' if finding.refused else 'note'}: {finding.message}", markup=False, soft_wrap=True)
    if report:
        try:
            report.write_bytes(reports.render(checked))
        except OSError as error:
            raise InfrastructureError(f"{report} can't be written ({error.strerror}); name another file.") from None
        console.print(f"Report: {report}", markup=False, soft_wrap=True)
    if as_json:
        print_json(reports.as_json(checked))
    try:
        data = checked.require()
    except DataRefused as error:
        shared = _used_by(uri)
        raise DataRefused(f"{error} It is the dataset of {' and '.join(shared)}." if shared else str(error)) from None
    counts = ", ".join(f"{count} {label}" for label, count in data.counts().items())
    console.print(f"{len(data.images)} images: {counts}", markup=False, soft_wrap=True)
    if data.grouping:
        groups = len({image.group for image in data.images})
        console.print(f"{groups} groups, told {described(data.grouping)}", markup=False, soft_wrap=True)


@app.command()
def fetch(dataset: Dataset = None, model: ModelName = None, as_json: AsJson = False) -> None:
    """Bring the images that a pointer names to this machine, and print the folder they are in."""
    from cli.progress import shown
    from dataset.pointer import locate

    with shown(progress_console(), "Images") as tell:
        folder = locate(dataset or _settings(model)[0].dataset.uri, tell)
    if not folder.is_dir():
        raise DataRefused(f"Dataset folder {folder} does not exist; name a folder or a pointer.")
    if as_json:
        print_json({"folder": str(folder)})
    else:
        typer.echo(str(folder))


@app.command()
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
    before = promise(str(pointer)) if pointer.is_file() else None
    if dataset is None and before is None:
        raise UsageError(f"{pointer} names no folder yet; give --dataset DIR.")
    if pointer.is_file() and before is None:
        raise UsageError(f"{pointer} is another kind of file; name a new one.")
    folder = home_expanded(dataset) if dataset else before.folder  # type: ignore[union-attr]
    with shown(progress_console(), "Images") as tell:
        notes = write_pointer(pointer, folder, _repository(pointer), tell)
    after = promise(str(pointer))
    assert after is not None
    same = before is not None and after.fingerprint == before.fingerprint
    if as_json:
        print_json({"folder": str(after.folder), "fingerprint": after.fingerprint, "images": after.images})
    for note in [*notes, f"{pointer}: {after.images} images" + (", as before" if same else "; commit it")]:
        progress_console().print(note, markup=False, soft_wrap=True)


def _home() -> Path:
    """The folder of trainyard.toml, or without one the working directory."""
    from settings.load import file_of

    found = file_of(Path.cwd())
    return found.parent if found else Path.cwd()


def _repository(file: Path) -> Path:
    """The folder around `file` that holds trainyard.toml or a checkout's .git; else that of the file."""
    folder = file.resolve().parent
    marks = ("trainyard.toml", ".git")
    return next((one for one in (folder, *folder.parents) if any((one / mark).exists() for mark in marks)), folder)


def _settings(model: str | None) -> "tuple[Settings, ImageInput | None]":
    """The settings of a model, and what it sees of an image; without any model those of trainyard.toml."""
    import models
    import settings

    if model is None and not models.known():
        return settings.load(), None
    found = models.find(model)
    for note in found.notes:
        progress_console().print(note, markup=False, soft_wrap=True)
    return found.settings, found.input


def _used_by(uri: str) -> list[str]:
    """The models that are made from a dataset."""
    import models

    here = str(home_expanded(uri).absolute())
    return [one.name for one in models.known() if str(Path(one.settings.dataset.uri).absolute()) == here]


def _previous(wanted: str | None, registry: str, model: str) -> "tuple[Previous | None, tuple[Split, ...], Sides]":
    """What a dataset is held against: figures, and the sides that images have."""
    from dataset import previous
    from dataset.sides import Sides
    from registry import Registry

    if wanted == "none":
        return None, (), Sides()
    if wanted is not None and not (wanted.isascii() and wanted.isdigit()):
        return previous.of_file(Path(wanted)), (), Sides()
    there = Registry.open(registry, model)
    record = there.record(int(wanted)) if wanted else previous.replaced_by_a_new_one(there)
    if record is None:
        return None, (), Sides()
    return previous.of_record(record), previous.rules_of(record), previous.sides_of(there, record)


if __name__ == "__main__":
    run(app)
