"""The command `train`: a model from scratch."""

from dataclasses import replace
from typing import TYPE_CHECKING

from cli import GateNotPassed, command_line, print_json, progress_console, run
from training import options as flags

if TYPE_CHECKING:
    from registry import Record

app = command_line(
    "train",
    "Trains a classifier from scratch on labelled images and saves it as a candidate if it passes the gate.",
    [
        "./pants run src/python/training:train -- --dataset sample",
        "./pants run src/python/training:train -- --dataset ./xrays --min-accuracy 0.8",
        "./pants run src/python/training:train -- --dataset ./xrays --max-trials 3 --max-minutes 30 --json",
    ],
)


@app.command()
def train(
    dataset: flags.Dataset = None,
    registry: flags.RegistryUri = None,
    model_name: flags.ModelName = None,
    seed: flags.Seed = 0,
    epochs: flags.Epochs = None,
    max_minutes: flags.MaxMinutes = 10.0,
    max_trials: flags.MaxTrials = 1,
    min_accuracy: flags.MinAccuracy = None,
    min_recall: flags.MinRecall = None,
    signing_key: flags.SigningKey = None,
    reason: flags.Reason = "",
    as_json: flags.AsJson = False,
) -> None:
    """Train a classifier from scratch and save it as a candidate if it passes the gate."""
    options = flags.resolve(
        dataset,
        registry,
        model_name,
        min_accuracy,
        min_recall,
        signing_key,
        seed=seed,
        epochs=epochs,
        max_minutes=max_minutes,
        max_trials=max_trials,
        reason=reason,
    )
    flags.prepare_tensorflow()
    from training.parameters import TRIALS
    from training.run import Run

    current = Run(options, progress_console())
    data = current.scan()
    trials = list(TRIALS)
    if epochs is not None:
        trials = [replace(trial, schedule=replace(trial.schedule, epochs=epochs)) for trial in TRIALS]
    finish(current.make(data, trials), as_json)


def finish(record: "Record", as_json: bool) -> None:
    """Tells how the run ended.

    Raises:
        GateNotPassed: the version was rejected; nothing of it is saved but its record.
    """
    if as_json:
        print_json(record.model_dump(mode="json"))
    console, test = progress_console(), record.metrics.test
    if test is not None:
        recalls = ", ".join(f"{label} {own.recall:.3f}" for label, own in test.per_class.items())
        console.print(
            f"Accuracy {test.accuracy:.3f} on {test.images} test images; recall: {recalls}",
            markup=False,
            soft_wrap=True,
        )
    if record.state == "rejected":
        raise GateNotPassed(
            f"Version {record.version} of {record.model} misses the gate and is not saved: "
            f"{'; '.join(record.verdicts[-1].reasons)}. Train on more images or with --max-trials, or lower the gate "
            "(--min-accuracy, --min-recall)."
        )
    console.print(f"Version {record.version} of {record.model} is a candidate", markup=False)


if __name__ == "__main__":
    run(app)
