"""The command `train`: a model from scratch."""

from dataclasses import replace

from cli import command_line, progress_console, run
from training.commands import options as flags

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
    from training.commands.network import choose, pretrained, require_complete
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
    finish(current.make(family, data, trials, pretrained=start), as_json, options, mail)


if __name__ == "__main__":
    run(app)
