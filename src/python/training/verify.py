"""Trains a version again from its record, and compares: `train --verify N`."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from cli import DataRefused, GateNotPassed, UsageError
from cli.progress import shown
from contracts.record import Record
from dataset import Dataset
from registry import Registry
from training.parameters import Parameters
from training.provenance import code
from training.retrain import rebuild
from training.state import Epoch, Weights
from training.team import Team
from training.trials import Search
from training.weights import read_weights


@dataclass(frozen=True)
class Comparison:
    version: int
    same: bool
    weights: int  # arrays
    differing: int  # of these
    largest_difference: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def verify(registry: Registry, record: Record, data: Dataset, console: Console) -> Comparison:
    """Trains `record`'s version again on `data` and compares every weight, bit for bit.

    Raises:
        DataRefused: the data are not those that the version was trained on.
        UsageError: the record does not tell how to repeat the version, or its parent is gone.
    """
    version = record.version
    if record.dataset is None or data.fingerprint != record.dataset.fingerprint:
        raise DataRefused(
            f"These are not the images that version {version} was trained on (fingerprint {data.fingerprint[:12]}…, "
            f"not {record.dataset.fingerprint[:12] if record.dataset else '?'}…); name that dataset with --dataset."
        )
    chosen = next((trial for trial in record.trials if trial.chosen), None)
    if chosen is None:
        raise UsageError(f"The record of version {version} does not tell how long it trained: it can't be repeated.")
    try:
        parameters = Parameters.from_dict(chosen.parameters)
    except ValueError as error:
        raise UsageError(f"Version {version} can't be repeated by this code: {error}.") from None
    if parameters.network.backbone and record.parent is None:
        raise UsageError(
            f"Version {version} began with weights of {parameters.network.backbone} that its record lacks."
        )
    start = None if record.parent is None else rebuild(registry, registry.record(record.parent))[1].get_weights()
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        published = read_weights(registry.fetch(version, Path(folder)))
    with shown(console, f"Training version {version} again") as tell:

        def watch(trial: int, epoch: Epoch) -> None:
            tell(epoch.number, epoch.epochs, f"loss {epoch.loss:.3f}")

        search = Search(data, Team(), record.seed, watch=watch)
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
    here, then = code(), record.code
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
        f"Version {found.version} trained again comes to other weights: {found.differing} of {found.weights} arrays "
        f"differ, by {found.largest_difference:.2g} at most ({why})."
    )
