"""The network of a version, built again from its record."""

import base64
import tempfile
from pathlib import Path

import keras
import numpy as np

from cli import DataRefused
from contracts.record import Record
from dataset import Dataset
from evaluation import scaled
from imaging.array import canonical
from registry import Registry
from training.family import OWN, Family
from training.loop import Predictor
from training.parameters import Parameters
from training.run.weights import put_weights, read_weights

# Probabilities of one network on two machines differ by less; those of two networks by more.
_TOLERANCE = 0.01


def family_of(parameters: Parameters, network_file: Path | None) -> Family:
    """The family that a version's network is of. `network_file` is that of the model's own network.

    Raises:
        ValueError: there is none any more.
    """
    if parameters.family != OWN:
        return Family.named(parameters.family)
    if network_file is None:
        raise ValueError("it has a network of its own, and the model's folder holds no network.py any more")
    return Family.own(network_file)


def choices_of(record: Record, network_file: Path | None) -> tuple[Family, Parameters]:
    """What a version was made with.

    Raises:
        DataRefused: this code can't make such a network.
    """
    try:
        parameters = Parameters.from_dict(record.parameters)
        return family_of(parameters, network_file), parameters
    except ValueError as error:
        raise _refused(record, error) from None


def in_terms_of(parent: Record, data: Dataset) -> Dataset:
    """`data` with its classes in the order and by the names of `parent`, whose weights and users know no other.

    Raises:
        DataRefused: it has other classes.
    """
    try:
        return data.named_as(parent.labels)
    except ValueError:
        raise DataRefused(
            f"The dataset has the classes {', '.join(data.labels)}, but version {parent.version} knows "
            f"{', '.join(parent.labels)}; run train to make a model for the new classes."
        ) from None


def rebuild(registry: Registry, record: Record, family: Family, parameters: Parameters) -> keras.Model:
    """The network of a version: built by our code from its `parameters`, with the weights of its SavedModel.

    Raises:
        Tampered: the files are not those of the record.
        DataRefused: the weights are not such as this code makes, or the network answers otherwise now.
    """
    with tempfile.TemporaryDirectory(prefix="trainyard-") as temporary:
        folder = registry.fetch(record.version, Path(temporary))
        try:
            network = family.build(parameters.network, parameters.input, len(record.labels))
            put_weights(network, read_weights(folder))
            _require_same_answers(network, parameters, record)
        except ValueError as error:
            raise _refused(record, error) from None
    return network


def _refused(record: Record, error: ValueError) -> DataRefused:
    reason = str(error).rstrip(".")
    return DataRefused(
        f"Version {record.version} can't be trained on by this code ({reason}); run train to make a new model."
    )


def _require_same_answers(network: keras.Model, parameters: Parameters, record: Record) -> None:
    """The same weights in a network that was changed since would begin with nonsense."""
    if not record.golden:
        return
    images = [canonical(base64.b64decode(golden.image), parameters.input) for golden in record.golden]
    answers = scaled(Predictor(network)(np.stack(images)), record.evaluation.temperature or 1.0)
    gap = float(np.abs(answers - [golden.probabilities for golden in record.golden]).max())
    if not gap <= _TOLERANCE:
        raise ValueError(f"its network was another one: with these weights, answers differ by {gap:.2f}")
