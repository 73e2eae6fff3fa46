"""The command `retrain`: the model in use, trained on with the dataset as it is now."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli import DataRefused, UsageError, command_line, progress_console, run
from training import options as flags
from training.train import finish, repeat

if TYPE_CHECKING:
    import keras

    from contracts.record import Record
    from registry import Registry
    from training.parameters import Parameters

app = command_line(
    "retrain",
    "Trains production's model (or, if there is none, testing's newest) on the dataset as it is now, and saves the "
    "result as a candidate if it passes the gate and is no worse than its parent.",
    [
        "./pants run src/python/training:retrain -- --dataset ./xrays",
        "./pants run src/python/training:retrain -- --dataset ./xrays --reason 'new images from May' --json",
    ],
)


@app.command()
def retrain(
    dataset: flags.Dataset = None,
    registry: flags.RegistryUri = None,
    model_name: flags.ModelName = None,
    seed: flags.Seed = 0,
    epochs: flags.Epochs = None,
    max_minutes: flags.MaxMinutes = 10.0,
    max_trials: flags.MaxTrials = None,
    tune: flags.Tune = False,
    work: flags.Work = None,
    min_accuracy: flags.MinAccuracy = None,
    min_recall: flags.MinRecall = None,
    signing_key: flags.SigningKey = None,
    reason: flags.Reason = "",
    verify: flags.Verify = None,
    mail: flags.MailOwner = False,
    as_json: flags.AsJson = False,
) -> None:
    """Train production's model on with the dataset as it is now."""
    options = flags.resolve(
        dataset,
        registry,
        model_name,
        min_accuracy,
        min_recall,
        signing_key,
        seed=seed,
        max_minutes=max_minutes,
        max_trials=max_trials,
        tune=tune,
        work=work,
        reason=reason,
    )
    if verify is not None:
        repeat(options, verify, as_json)
        return
    from registry import Registry

    parent = choose_parent(Registry.open(options.registry, options.model))
    flags.prepare_tensorflow()
    from training.parameters import RETRAININGS
    from training.run import Run

    current = Run(options, progress_console(), flags.team())
    current.say(f"Starting from version {parent.version} ({parent.state})")
    if parent.state != "production":
        current.warn(f"Nothing is in production: only testing's version {parent.version} is compared with")
    data = current.scan(parent)
    if not current.team.chief:
        current.assist(data)
        return
    if data.labels != parent.labels:
        raise DataRefused(
            f"The dataset has the classes {', '.join(data.labels)}, but version {parent.version} knows "
            f"{', '.join(parent.labels)}; run train to make a model for the new classes."
        )
    parameters, network = rebuild(current.registry, parent)
    schedules = [schedule if epochs is None else replace(schedule, epochs=epochs) for schedule in RETRAININGS]
    trials = [replace(parameters, schedule=schedule) for schedule in schedules]
    finish(current.make(data, trials, parent, network), as_json, options if mail else None)


def choose_parent(registry: "Registry") -> "Record":
    """Production's version, or else the newest of testing that may become it.

    Raises:
        UsageError: there is neither.
    """
    stable = registry.serving().labels.get("stable")
    if stable is not None:
        return registry.record(stable)
    waiting = [record for record in registry.records() if record.state in ("candidate", "tested")]
    if not waiting:
        raise UsageError(f"The registry holds no version of '{registry.model}' to start from; run train first.")
    return waiting[-1]


def rebuild(registry: "Registry", record: "Record") -> tuple["Parameters", "keras.Model"]:
    """The network of a version: built by our code from its parameters, with the weights of its SavedModel.

    Raises:
        Tampered: the files are not those of the record.
        DataRefused: parameters or weights are not such as this code makes.
    """
    from training.model import build
    from training.parameters import Parameters
    from training.weights import put_weights, read_weights

    with tempfile.TemporaryDirectory(prefix="trainyard-") as temporary:
        folder = registry.fetch(record.version, Path(temporary))
        try:
            parameters = Parameters.from_dict(record.parameters)
            network = build(parameters.network, len(record.labels))
            put_weights(network, read_weights(folder))
        except ValueError as error:
            raise DataRefused(
                f"Version {record.version} can't be trained on by this code ({error}); run train to make a new model."
            ) from None
    return parameters, network


if __name__ == "__main__":
    run(app)
