"""The command `retrain`: the model in use, trained on with the dataset as it is now."""

from cli import UsageError, command_line, progress_console, run
from cli.flags import with_flags
from training.commands.options import Flags, resolve

app = command_line(
    "retrain",
    "Continues the training of production's model (or, if there is none, of the newest version in testing) on the "
    "current dataset. Saves the result as a candidate if it passes the gate and is no worse than its parent.",
    [
        "./pants run src/python/training:retrain -- --dataset ./xrays",
        "./pants run src/python/training:retrain -- --model digits",
        "./pants run src/python/training:retrain -- --dataset ./xrays --reason 'new images from May' --json",
    ],
)


@app.command()
@with_flags
def retrain(flags: Flags) -> None:
    """Continue the training of production's model on the current dataset."""
    options = resolve(flags)
    from training.commands import tensorflow

    if flags.reproduce is not None:
        tensorflow.prepare_tensorflow()
        from training.commands.reproduce import reproduce as train_again

        train_again(options, flags.reproduce, flags.as_json)
        return
    from registry import Registry
    from training.run.choice import choose_parent

    parent = choose_parent(Registry.open(options.registry, options.model.name))
    tensorflow.prepare_tensorflow()
    from training.commands.outcome import finish
    from training.parameters import retrainings
    from training.run.parent import choices_of, in_terms_of, rebuild
    from training.run.version import Run

    current = Run(options, progress_console(), tensorflow.team())
    current.say_notes()
    current.say(f"Starting from version {parent.version} ({parent.state})")
    if parent.state != "production":
        current.warn(f"Nothing is in production: the comparison is with testing's version {parent.version} alone")
    family, parameters = choices_of(parent, options.model.network_file)
    data = in_terms_of(parent, current.scan(parent))
    if not current.team.chief:
        current.assist(family, data)
        return
    try:
        trials = retrainings(family, parameters, options.model.changes, options.model.schedule)
    except ValueError as error:
        raise UsageError(f"{options.model.folder / 'model.toml'}: {error}") from None
    network = rebuild(current.registry, parent, family, parameters)
    made = current.make(family, data, flags.in_epochs(trials), parent, network)
    finish(made, flags.as_json, options, flags.mail)


if __name__ == "__main__":
    run(app)
