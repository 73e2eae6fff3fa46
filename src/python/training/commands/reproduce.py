"""Trains a version again from its record, and compares: `train --reproduce N`."""

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from cli import DataRefused, GateNotPassed, UsageError, print_json, progress_console
from cli.progress import shown
from contracts.record import Record
from dataset import Dataset, previous
from registry import Registry
from training.commands.options import Options
from training.parameters import Parameters
from training.run.parent import choices_of, family_of, rebuild
from training.run.provenance import provenance
from training.run.search import Search
from training.run.version import Run
from training.run.weights import read_weights
from training.state import Epoch, Weights
from training.team import Team


@dataclass(frozen=True)
class Comparison:
    version: int
    same: bool
    weights: int  # arrays
    differing: int  # of these
    largest_difference: float

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def reproduce(options: Options, version: int, as_json: bool) -> None:
    """Trains a version again, and says whether it comes to the same weights.

    Raises:
        DataRefused: the images are not those that the version was trained on.
        UsageError: the record does not say how to repeat the version, or its parent is gone.
        GateNotPassed: the weights differ.
    """
    registry = Registry.open(options.registry, options.model.name)
    record = registry.record(version)
    parent = None if record.parent is None else registry.record(record.parent)
    console = progress_console()
    # Split as they were then, whatever the settings and other versions say by now.
    run = Run(replace(options, split=previous.rules_of(record)[0]), console)
    data = run.scan(parent, previous.sides_of(registry, record))
    found = trained_again(registry, record, data, options.model.network_file, console)
    if as_json:
        print_json(found.as_json())
    require_same(found, record)
    console.print(f"Version {version} trained again has the same {found.weights} weights, bit for bit", markup=False)


def trained_again(
    registry: Registry, record: Record, data: Dataset, network_file: Path | None, console: Console
) -> Comparison:
    """Trains `record`'s version again on `data` and compares every weight, bit for bit.

    Raises:
        DataRefused, UsageError: as above.
    """
    version = record.version
    if record.dataset is None or data.fingerprint != record.dataset.fingerprint:
        raise DataRefused(
            f"These are not the images that version {version} was trained on (fingerprint {data.fingerprint[:12]}…, "
            f"not {record.dataset.fingerprint[:12] if record.dataset else '?'}…); name that dataset with --dataset."
        )
    chosen = next((trial for trial in record.trials if trial.chosen), None)
    if chosen is None:
        raise UsageError(f"The record of version {version} does not say how long it trained: it can't be repeated.")
    try:
        parameters = Parameters.from_dict(chosen.parameters)
        family = family_of(parameters, network_file)
        if record.parent is None and not family.begins_at_random(parameters.network):
            raise ValueError("it began with weights from elsewhere, which its record lacks")
    except ValueError as error:
        raise UsageError(f"Version {version} can't be repeated by this code: {str(error).rstrip('.')}.") from None
    start = None
    if record.parent is not None:
        parent = registry.record(record.parent)
        start = rebuild(registry, parent, *choices_of(parent, network_file)).get_weights()
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        published = read_weights(registry.fetch(version, Path(folder)))
    with shown(console, f"Training version {version} again") as tell:

        def watch(trial: int, epoch: Epoch, seconds_left: float) -> None:
            tell(epoch.number, epoch.epochs, f"loss {epoch.loss:.3f}", seconds_left)

        search = Search(family, data, Team(), record.seed, watch=watch)
        again = search.repeat(parameters, chosen.planned, start)
    return compare(version, published, again)


def compare(version: int, published: Weights, again: Weights) -> Comparison:
    if [array.shape for array in published] != [array.shape for array in again]:
        return Comparison(version, False, len(published), len(published), float("inf"))
    gaps = [float(np.max(np.abs(one - other), initial=0.0)) for one, other in zip(published, again, strict=True)]
    differing = sum(one.tobytes() != other.tobytes() for one, other in zip(published, again, strict=True))
    return Comparison(version, differing == 0, len(published), differing, max(gaps, default=0.0))


def require_same(found: Comparison, record: Record) -> None:
    """
    Raises:
        GateNotPassed: the weights differ.
    """
    if found.same:
        return
    here, then = provenance().code, record.code
    reasons = [
        f"{name} is {here.components.get(name)}, not {version}"
        for name, version in then.components.items()
        if here.components.get(name) != version
    ]
    if here.commit != then.commit:
        reasons.append(f"the commit is {(here.commit or 'unknown')[:12]}, not {(then.commit or 'unknown')[:12]}")
    if then.dirty or here.dirty:
        reasons.append("there are changes that were not committed")
    why = "; ".join(reasons) or "code and libraries are the same, so another type of machine is the likeliest reason"
    raise GateNotPassed(
        f"Version {found.version} trained again gives other weights: {found.differing} of {found.weights} arrays "
        f"differ, by {found.largest_difference:.2g} at most ({why})."
    )
