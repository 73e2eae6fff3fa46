"""`dataset import`: images in other layouts become a dataset."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import UsageError, print_json, progress_console
from cli.home import home_expanded
from cli.text import counted
from contracts.classes import alike, told_alike
from curation.options import AsJson, require_local

if TYPE_CHECKING:
    from rich.console import Console

    from dataset.importing.account import Account

# Files of one reason that are named on the terminal, and in JSON.
_NAMED, _LISTED = 3, 200


def import_(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A folder of images or DICOM, or a ZIP or TAR file.")
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="The dataset's folder; what is there already stays.")],
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A CSV with the classes, where no folders name them.")
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
    """Import images as a dataset: from train/val/test folders, a CSV of labels, DICOM or Kaggle's archive.

    DICOM becomes PNG: windowed, MONOCHROME1 inverted, and nothing of a patient in it. Each file that is left out is
    counted, with the reason.
    """
    import settings
    from cli.progress import shown
    from dataset.importing.run import Wanted, run

    table = (image_column, label_column)
    if (labels is None and any((*table, group_column))) or (labels is not None and not all(table)):
        raise UsageError("--labels, --image-column and --label-column belong together; give all three, or none.")
    require_local(
        source, "can't be imported from; fetch it first with `gcloud storage cp -r`, or train on it as it is."
    )
    require_local(to, "can't be imported to; name a folder here, and copy that with `gcloud storage cp -r`.")
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
    _tell(account, to, wanted.group_key, console)
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


def _tell(account: "Account", to: Path, group_key: Path, console: "Console") -> None:
    for one in account.reasons(_NAMED):
        names = ", ".join(one["files"]) + (", …" if one["count"] > _NAMED else "")
        console.print(f"left out {one['count']}: {one['reason']} ({names})", markup=False, soft_wrap=True)
    classes = ", ".join(f"{count} {label}" for label, count in sorted(account.taken.items()))
    there = f"; {account.already} were there already, or are there twice" if account.already else ""
    console.print(f"{account.images} images into {to}: {classes}{there}", markup=False, soft_wrap=True)
    classes_there = _classes(to)
    if len(classes_there) == 1:
        console.print(
            f"note: {to} holds just one class, '{classes_there[0]}'; a classifier needs two or more: import another.",
            markup=False,
            soft_wrap=True,
        )
    for several in alike(classes_there):
        console.print(f"note: {told_alike(several)}", markup=False, soft_wrap=True)
    if account.groups:
        console.print(
            f'{counted(len(account.groups), "group")}, each in a folder named by a hash: set groups = "folder" under '
            f"[dataset]. Keep {group_key}: further images of the same patients need it.",
            markup=False,
            soft_wrap=True,
        )
    named = f"--dataset {shlex.quote(str(to))}"
    for line in (
        f"Its quality: ./pants run src/python/dataset -- check {named}",
        *([f"Next, train: ./pants run src/python/training:train -- {named}"] if len(classes_there) > 1 else []),
    ):
        console.print(line, markup=False, soft_wrap=True)


def _classes(to: Path) -> list[str]:
    """Those of the whole dataset: some may have been there."""
    return [folder.name for folder in home_expanded(to).iterdir() if folder.is_dir() and folder.name[:1] not in "._"]


def _home() -> Path:
    """The folder of trainyard.toml, or without one the working directory."""
    from settings.load import file_of

    found = file_of(Path.cwd())
    return found.parent if found else Path.cwd()
