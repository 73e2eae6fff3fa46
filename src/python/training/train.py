"""The command `train`: a model from scratch."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli import (
    DataRefused,
    GateNotPassed,
    InfrastructureError,
    UsageError,
    command_line,
    print_json,
    progress_console,
    run,
)
from training import options as flags

if TYPE_CHECKING:
    from contracts.record import Record
    from training.backbone import Backbone
    from training.parameters import Parameters

app = command_line(
    "train",
    "Trains a classifier from scratch on labelled images and saves it as a candidate if it passes the gate.",
    [
        "./pants run src/python/training:train -- --dataset sample",
        "./pants run src/python/training:train -- --dataset ./xrays --min-accuracy 0.8",
        "./pants run src/python/training:train -- --dataset ./xrays --max-trials 3 --max-minutes 30 --json",
        "./pants run src/python/training:train -- --dataset ./xrays --tune --max-minutes 120",
        "./pants run src/python/training:train -- --dataset ./xrays --verify 7",
        "./pants run src/python/training:train -- --dataset ./xrays --backbone MobileNetV3Small --weights imagenet",
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
    max_trials: flags.MaxTrials = None,
    tune: flags.Tune = False,
    work: flags.Work = None,
    min_accuracy: flags.MinAccuracy = None,
    min_recall: flags.MinRecall = None,
    signing_key: flags.SigningKey = None,
    reason: flags.Reason = "",
    backbone: flags.Backbone = None,
    weights: flags.BackboneWeights = "imagenet",
    verify: flags.Verify = None,
    mail: flags.MailOwner = False,
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
        max_minutes=max_minutes,
        max_trials=max_trials,
        tune=tune,
        work=work,
        reason=reason,
    )
    if verify is not None:
        repeat(options, verify, as_json)
        return
    flags.prepare_tensorflow()
    from training.parameters import TRIALS
    from training.run import Run

    current = Run(options, progress_console(), flags.team())
    first, start = (None, None) if backbone is None else with_backbone(backbone, weights, TRIALS[0])
    data = current.scan()
    if not current.team.chief:
        current.assist(data)
        return
    trials = list(TRIALS) if first is None else [first]
    if epochs is not None:
        trials = [replace(trial, schedule=replace(trial.schedule, epochs=epochs)) for trial in trials]
    finish(current.make(data, trials, backbone=start), as_json, options if mail else None)


def with_backbone(name: str, weights: str, base: "Parameters") -> tuple["Parameters", "Backbone"]:
    """`base` on a network of keras.applications, and the weights that one begins with.

    Raises:
        UsageError: no such network, or no such file.
        DataRefused: the file holds no weights of it.
        InfrastructureError: the weights can't be downloaded.
    """
    from training import backbone

    known = backbone.names()
    if name not in known:
        raise UsageError(f"There is no backbone '{name}' to build on; name one of {', '.join(known)}.")
    if weights not in (backbone.NONE, backbone.IMAGENET) and not Path(weights).is_file():
        raise UsageError(f"{weights} is no file; give --weights imagenet, none, or a .h5 file.")
    try:
        start = backbone.Backbone.load(name, weights, base.network.image_size)
    except backbone.NoWeights as error:
        if weights != backbone.IMAGENET:
            raise DataRefused(f"{weights} holds no weights of {name} without its top ({error}).") from None
        raise InfrastructureError(
            f"The ImageNet weights of {name} can't be downloaded ({error}); fetch the file of its weights without the "
            "top (…_notop.h5) where you can and give it as --weights FILE, or begin at random with --weights none."
        ) from None
    schedule = replace(base.schedule, learning_rate=base.schedule.learning_rate / 2)
    return replace(base, network=replace(base.network, backbone=name), schedule=schedule), start


def repeat(options: flags.Options, version: int, as_json: bool) -> None:
    """Trains a version again, and tells whether it comes to the same weights.

    Raises:
        GateNotPassed: it does not.
    """
    from dataset import previous
    from registry import Registry

    registry = Registry.open(options.registry, options.model)
    record = registry.record(version)
    parent = None if record.parent is None else registry.record(record.parent)
    flags.prepare_tensorflow()
    from training.run import Run
    from training.verify import require_same, verify

    console = progress_console()
    # Split as they were then, whatever the settings say by now.
    current = Run(replace(options, split=previous.rules_of(record)[0]), console)
    found = verify(registry, record, current.scan(parent), console)
    if as_json:
        print_json(found.as_json())
    require_same(found, record)
    console.print(f"Version {version} trained again has the same {found.weights} weights, bit for bit", markup=False)


def finish(record: "Record", as_json: bool, mail_from: flags.Options | None = None) -> None:
    """Tells how the run ended; the owner too, if it missed the gate and `mail_from` names the registry.

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
    if record.state == "rejected" and mail_from:
        import notify
        import settings

        where = (mail_from.registry, mail_from.model)
        notify.tell(settings.load().mail, *where, "gate_missed", record.version, "", lambda line: console.print(line))
    if record.state == "rejected" and record.verdicts[-1].details:
        raise GateNotPassed(
            f"Version {record.version} of {record.model} is not saved: {'; '.join(record.verdicts[-1].reasons)}. "
            f"Version {record.parent} stays."
        )
    if record.state == "rejected":
        advice = "Train on more images or with --max-trials, or lower the gate (--min-accuracy, --min-recall)."
        if any(trial.chosen and trial.ended == "time" for trial in record.trials):
            # What was cut short has not shown yet what it can do.
            advice = f"It ran out of time: try a larger --max-minutes first. {advice}"
        raise GateNotPassed(
            f"Version {record.version} of {record.model} misses the gate and is not saved: "
            f"{'; '.join(record.verdicts[-1].reasons)}. {advice}"
        )
    console.print(f"Version {record.version} of {record.model} is a candidate", markup=False)


if __name__ == "__main__":
    run(app)
