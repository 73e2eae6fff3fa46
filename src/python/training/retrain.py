"""The command `retrain`: the model in use, trained on with the dataset as it is now."""

from dataclasses import replace

from cli import DataRefused, UsageError, command_line, progress_console, run
from training.commands import options as flags

app = command_line(
    "retrain",
    "Trains production's model (or, if there is none, testing's newest) on the dataset as it is now, and saves the "
    "result as a candidate if it passes the gate and is no worse than its parent.",
    [
        "./pants run src/python/training:retrain -- --dataset ./xrays",
        "./pants run src/python/training:retrain -- --model digits",
        "./pants run src/python/training:retrain -- --dataset ./xrays --reason 'new images from May' --json",
    ],
)


@app.command()
def retrain(
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
    reproduce: flags.Reproduce = None,
    mail: flags.MailOwner = False,
    as_json: flags.AsJson = False,
) -> None:
    """Train production's model on with the dataset as it is now."""
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

    if reproduce is not None:
        tensorflow.prepare_tensorflow()
        from training.commands.reproduce import reproduce as train_again

        train_again(options, reproduce, as_json)
        return
    from registry import Registry
    from training.run.choice import choose_parent

    parent = choose_parent(Registry.open(options.registry, options.model.name))
    tensorflow.prepare_tensorflow()
    from training.commands.outcome import finish
    from training.parameters import retrainings
    from training.run.parent import choices_of, rebuild
    from training.run.version import Run

    current = Run(options, progress_console(), tensorflow.team())
    current.say_notes()
    current.say(f"Starting from version {parent.version} ({parent.state})")
    if parent.state != "production":
        current.warn(f"Nothing is in production: only testing's version {parent.version} is compared with")
    family, parameters = choices_of(parent, options.model.network_file)
    data = current.scan(parent)
    if not current.team.chief:
        current.assist(family, data)
        return
    if data.labels != parent.labels:
        raise DataRefused(
            f"The dataset has the classes {', '.join(data.labels)}, but version {parent.version} knows "
            f"{', '.join(parent.labels)}; run train to make a model for the new classes."
        )
    try:
        trials = retrainings(family, parameters, options.model.changes, options.model.schedule)
    except ValueError as error:
        raise UsageError(f"{options.model.folder / 'model.toml'}: {error}") from None
    if epochs is not None:
        trials = [replace(trial, schedule=replace(trial.schedule, epochs=epochs)) for trial in trials]
    network = rebuild(current.registry, parent, family, parameters)
    finish(current.make(family, data, trials, parent, network), as_json, options, mail)


if __name__ == "__main__":
    run(app)
