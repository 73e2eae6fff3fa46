"""`dataset check`: the quality of a dataset, before anything is learnt from it."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import DataRefused, InfrastructureError, print_json, progress_console
from curation.options import AsJson, Dataset, ModelName, settings_of, used_by

if TYPE_CHECKING:
    from dataset.sides import Sides
    from dataset.skew import Previous
    from dataset.split import Split

# Reasons of a refusal that are told on the terminal; a report has all.
_MOST_REFUSED = 4


def check(
    dataset: Dataset = None,
    registry: Annotated[str | None, typer.Option(help="The registry with the earlier version's record.")] = None,
    model: ModelName = None,
    previous: Annotated[
        str | None,
        typer.Option(
            help="Compare it with the dataset of a version, of an earlier check's JSON file, or with `none`. Default: "
            "production's version, or else the newest one in testing."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with pictures of the offenders here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check every image: a broken dataset ends with exit code 4; what changed since the earlier one is reported."""
    from cli.progress import shown
    from contracts.grouping import described
    from dataset import report as reports
    from dataset.check import Limits
    from dataset.pointer import examine
    from dataset.split import Split, lineage

    settings, wanted = settings_of(model)
    uri = dataset or settings.dataset.uri
    before, rules, known = _previous(previous, registry or settings.registry.uri, settings.model.name)
    own = Split.of(settings.dataset)
    console = progress_console()
    with shown(console, "Images") as tell:
        checked = examine(
            uri, Limits.of(settings.dataset), before, tell, lineage(own, rules), known=known, wanted=wanted
        )
    # The error that the command ends with tells the first refusal, and how many more there are.
    untold = (*checked.refused[:1], *checked.refused[_MOST_REFUSED:])
    for finding in [one for one in checked.findings if one not in untold]:
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
        shared = used_by(uri)
        raise DataRefused(f"{error} It is the dataset of {' and '.join(shared)}." if shared else str(error)) from None
    counts = ", ".join(f"{count} {label}" for label, count in data.counts().items())
    console.print(f"{len(data.images)} images: {counts}", markup=False, soft_wrap=True)
    if data.grouping:
        groups = len({image.group for image in data.images})
        console.print(f"{groups} groups, {described(data.grouping)}", markup=False, soft_wrap=True)
    console.print(f"Next, train: {_training(dataset, registry, model)}", markup=False, soft_wrap=True)


def _training(dataset: str | None, registry: str | None, model: str | None) -> str:
    """The call that trains on what was checked."""
    flags = {"--model": model, "--dataset": dataset, "--registry": registry}
    told = [part for name, value in flags.items() if value is not None for part in (name, value)]
    return shlex.join(["./pants", "run", "src/python/training:train", *(["--", *told] if told else [])])


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
