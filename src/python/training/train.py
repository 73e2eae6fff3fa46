"""The command `train`: a model from scratch."""

from cli import command_line, progress_console, run
from cli.flags import with_flags
from training.commands.options import Backbone, BackboneWeights, Flags, resolve

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
@with_flags
def train(
    flags: Flags,
    backbone: Backbone = None,
    weights: BackboneWeights = None,
) -> None:
    """Train a classifier from scratch and save it as a candidate if it passes the gate."""
    options = resolve(flags)
    from training.commands import tensorflow

    tensorflow.prepare_tensorflow()
    if flags.reproduce is not None:
        from training.commands.reproduce import reproduce as train_again

        train_again(options, flags.reproduce, flags.as_json)
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
    made = current.make(family, data, flags.in_epochs(trials), pretrained=start)
    finish(made, flags.as_json, options, flags.mail)


if __name__ == "__main__":
    run(app)
