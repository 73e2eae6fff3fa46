"""What a model's network lacks, said before anything is trained: a part of `models check`, and of `train`."""

import sys
import threading
from collections.abc import Sequence
from concurrent.futures import thread as pools
from typing import TYPE_CHECKING, Annotated

import typer

from cli import TrainyardError, UsageError, command_line, run
from cli.errors import HeldError

if TYPE_CHECKING:
    import keras

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
        raise refusal(lacking[-1])


def refusal(sentence: str) -> UsageError:
    """What to raise for something that a network lacks."""
    return HeldError(sentence) if _left() else UsageError(sentence)


def check(model: "Model", labels: Sequence[str] | None = None) -> list[str]:
    """What the network of `model` lacks: a sentence each.

    `labels` are its dataset's classes; without them those that its settings or its images name are taken, if they are
    here. Where nobody knows them, a network may have as many as it has.
    """
    from cli.machine import memory, room
    from training.networks.contract import lacks
    from training.run.network import of_model

    try:
        family, parameters = of_model(model)
        image, known = parameters.input, labels or _labels(model)
        with room(memory()):
            network = family.build(parameters.network, image, len(known or _SOME_CLASSES))
            # Asked for by a search, which may be hours later.
            family.space(parameters.network, image)
            labels = known or _as_many_as(network)
            where = family.file or f"The network of {model.name}"
            return [f"{where}: {sentence}" for sentence in (*lacks(network, image, labels), *map(_goes_on, _left()))]
    except ValueError as error:
        return [str(error)]


def notes_on(model: "Model", labels: Sequence[str] | None = None) -> list[str]:
    """What of [schedule] has no effect on the network of `model`; nothing where the network can't be built."""
    from training.run.network import of_model
    from training.step import without_effect

    try:
        family, parameters = of_model(model)
        network = family.build(parameters.network, parameters.input, len(labels or _labels(model) or _SOME_CLASSES))
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


def _left() -> list[str]:
    """Threads for which the interpreter would wait at its end for ever, as long as they go on."""
    return [
        thread.name
        for thread in threading.enumerate()
        # Those of a pool are told to end.
        if not (thread.daemon or thread is threading.main_thread() or thread in pools._threads_queues)
    ]


def _goes_on(thread: str) -> str:
    return (
        f"It has started a thread that goes on ({thread}), so that a training would never end; join it, or make it a "
        "daemon (threading.Thread(…, daemon=True))."
    )


def _labels(model: "Model") -> Sequence[str]:
    """The classes of a model's dataset; none where they are not known without fetching it."""
    from dataset.folder import find
    from dataset.pointer import is_here, locate

    dataset = model.settings.dataset
    if dataset.classes or not is_here(dataset.uri):
        return dataset.classes
    try:
        return list(find(locate(dataset.uri), dataset.groups))
    except TrainyardError:
        return []


def _as_many_as(network: "keras.Model") -> Sequence[str]:
    """Names for the classes that a network was written for, or whatever it was asked for."""
    match network.output_shape:
        case (None, int(classes)):
            return [f"class {number}" for number in range(classes)]
    return _SOME_CLASSES


if __name__ == "__main__":
    run(app)
