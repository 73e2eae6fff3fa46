"""What a model's network lacks, said before anything is trained: a part of `models check`, and of `train`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import TrainyardError, UsageError, command_line, run

if TYPE_CHECKING:
    from models import Model

app = command_line(
    "check",
    "Builds, asks, trains for a step, exports and inspects a model's network, and says what it lacks.",
    ["./pants run src/python/models -- check leaves"],
)
_SOME_CLASSES = ("one", "another", "a third")


@app.command()
def main(
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="A folder of models/.")] = None,
) -> None:
    """Say what a model's network lacks."""
    import models
    from training.commands.tensorflow import prepare_tensorflow

    found = models.find(model)
    prepare_tensorflow()
    lacking, notes = check(found), notes_on(found)
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
    for sentence in lacking[:-1]:
        sys.stderr.write(f"error: {sentence}\n")
    if lacking:
        raise UsageError(lacking[-1])


def check(model: "Model", labels: Sequence[str] | None = None) -> list[str]:
    """What the network of `model` lacks: a sentence each.

    `labels` are its dataset's classes; without them those that its settings or a folder of images name are taken.
    """
    from training.networks.contract import lacks
    from training.run.network import of_model

    try:
        family, parameters = of_model(model)
        image, labels = parameters.input, labels or _labels(model)
        network = family.build(parameters.network, image, len(labels))
        # Asked for by a search, which may be hours later.
        family.space(parameters.network, image)
    except ValueError as error:
        return [str(error)]
    where = family.file or f"The network of {model.name}"
    return [f"{where}: {sentence}" for sentence in lacks(network, image, labels)]


def notes_on(model: "Model", labels: Sequence[str] | None = None) -> list[str]:
    """What of [schedule] has no effect on the network of `model`; nothing where the network can't be built."""
    from training.run.network import of_model
    from training.step import without_effect

    try:
        family, parameters = of_model(model)
        network = family.build(parameters.network, parameters.input, len(labels or _labels(model)))
    except ValueError:
        return []
    reasons = {
        "dropout": "it is the share of the features before a training.head.Head, which this network does without; "
        "Dropout layers of its own count",
        "augmentation": "[changes] allows none",
    }
    return [
        f"{name} of [schedule] has no effect on this network: {reasons[name]}."
        for name in without_effect(network, parameters.changes)
        if getattr(parameters.schedule, name)
    ]


def _labels(model: "Model") -> Sequence[str]:
    """The classes of a model's dataset, as far as that is known without fetching it."""
    from dataset.folder import find

    dataset = model.settings.dataset
    try:
        return dataset.classes or list(find(Path(dataset.uri)))
    except TrainyardError:
        return _SOME_CLASSES


if __name__ == "__main__":
    run(app)
