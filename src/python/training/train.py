"""The command `train`: a model from scratch."""

from dataclasses import replace
from typing import TYPE_CHECKING

from cli import DataRefused, InfrastructureError, UsageError, command_line, progress_console, run
from training.commands import options as flags

if TYPE_CHECKING:
    from models import Model
    from training.family import Family, Pretrained
    from training.parameters import Parameters
    from training.run.version import Run

app = command_line(
    "train",
    "Trains a classifier from scratch on labelled images and saves it as a candidate if it passes the gate.",
    [
        "./pants run src/python/training:train -- --dataset sample",
        "./pants run src/python/training:train -- --model digits",
        "./pants run src/python/training:train -- --dataset ./xrays --min-accuracy 0.8",
        "./pants run src/python/training:train -- --dataset ./xrays --max-trials 3 --max-minutes 30 --json",
        "./pants run src/python/training:train -- --dataset ./xrays --tune --max-minutes 120",
        "./pants run src/python/training:train -- --dataset ./xrays --reproduce 7",
        "./pants run src/python/training:train -- --dataset ./xrays --backbone MobileNetV3Small --weights imagenet",
    ],
)


@app.command()
def train(
    dataset: flags.Dataset = None,
    registry: flags.RegistryUri = None,
    model: flags.ModelName = None,
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
    weights: flags.BackboneWeights = None,
    reproduce: flags.Reproduce = None,
    mail: flags.MailOwner = False,
    as_json: flags.AsJson = False,
) -> None:
    """Train a classifier from scratch and save it as a candidate if it passes the gate."""
    options = flags.resolve(
        dataset,
        registry,
        model,
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
    from training.commands import tensorflow

    tensorflow.prepare_tensorflow()
    if reproduce is not None:
        from training.commands.reproduce import reproduce as train_again

        train_again(options, reproduce, as_json)
        return
    from training.commands.outcome import finish
    from training.run.version import Run

    current = Run(options, progress_console(), tensorflow.team())
    current.say_notes()
    family, trials = choose(options.model, backbone, weights)
    start = pretrained(family, trials[0])
    if family.file is not None:
        require_complete(options, current)
    data = current.scan()
    if not current.team.chief:
        current.assist(family, data)
        return
    if epochs is not None:
        trials = [replace(trial, schedule=replace(trial.schedule, epochs=epochs)) for trial in trials]
    finish(current.make(family, data, trials, pretrained=start), as_json, options if mail else None)


def choose(model: "Model", backbone: str | None, weights: str | None) -> "tuple[Family, list[Parameters]]":
    """What is tried in turn: what the model's files ask for or, with the name of a `backbone`, one trial on that.

    Raises:
        UsageError: the files ask for something that there is not, or the network can't be loaded.
    """
    from training.family import Family
    from training.run.network import family_of_model, trials_of_model

    try:
        family = Family.named("applications") if backbone else family_of_model(model)
        chosen: dict[str, str] = {"backbone": backbone} if backbone else {}
        if weights is not None:
            if family.name != "applications":
                raise ValueError("--weights belongs to a network of keras.applications; name one with --backbone.")
            chosen["weights"] = weights
        return family, trials_of_model(model, family, chosen)
    except ValueError as error:
        raise UsageError(str(error)) from None


def pretrained(family: "Family", parameters: "Parameters") -> "Pretrained | None":
    """Weights from elsewhere that the network begins with, if it does.

    Raises:
        UsageError: their file is not there.
        DataRefused: the file holds no weights of this network.
        InfrastructureError: they can't be downloaded.
    """
    from training.family import NoWeights

    try:
        return family.pretrained(parameters.network, parameters.input)
    except FileNotFoundError as error:
        raise UsageError(str(error)) from None
    except NoWeights as error:
        raise (InfrastructureError if error.may_pass else DataRefused)(str(error)) from None


def require_complete(options: flags.Options, current: "Run") -> None:
    """Looks at the network of a model's own before the images are checked, which may take longer.

    Raises:
        UsageError: the network lacks something.
        DataRefused: the dataset has no classes.
    """
    from dataset import locate
    from dataset.folder import find
    from training.networks.check import check, notes_on

    current.say("Checking the network")
    labels = list(find(locate(options.dataset)))
    lacking = check(options.model, labels)
    for sentence in lacking[1:]:
        current.say(sentence)
    if lacking:
        raise UsageError(lacking[0])
    for note in notes_on(options.model, labels):
        current.say(note)


if __name__ == "__main__":
    run(app)
