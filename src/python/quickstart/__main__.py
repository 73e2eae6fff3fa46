"""The command `quickstart`: the whole loop on one machine."""

import contextlib
import os
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import InfrastructureError, command_line, print_json, progress_console, run

if TYPE_CHECKING:
    from rich.console import Console

    from models import Model

# The folder of the model that the quickstart can draw images for.
_DRAWN = "chest_xray"

app = command_line(
    "quickstart",
    "Shows the whole loop on this machine: train, test, promote, serve, new data, retrain, promote under traffic, "
    "roll back. Everything lands in a new folder below .trainyard.",
    [
        "./pants run //:quickstart",
        "./pants run //:quickstart -- --model digits",
        "./pants run //:quickstart -- --dataset ./xrays --min-accuracy 0.75 --keep-serving",
    ],
)


@app.command()
def quickstart(
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="The model to show the loop with, such as chest-xray or digits."),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Your images, a folder per class. Default: the model's; for chest-xray, X-rays that are drawn.",
        ),
    ] = None,
    keep_serving: Annotated[
        bool, typer.Option("--keep-serving", help="Leave the prediction service up until Ctrl-C.")
    ] = False,
    min_accuracy: Annotated[float | None, typer.Option(min=0, max=1, help="Overrides the gate's accuracy.")] = None,
    min_recall: Annotated[float | None, typer.Option(min=0, max=1, help="Overrides the gate's recall.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one line of JSON, last.")] = False,
) -> None:
    """Show the whole loop on this machine."""
    import models

    console = progress_console()
    shown = models.find(model)
    for note in models.concerning(shown.notes, "dataset", "gates", "tests"):
        console.print(note, markup=False, soft_wrap=True)
    source = dataset.absolute() if dataset else _images_of(shown, console)
    folder = _new_folder()
    prepare(shown.name, folder)

    from quickstart import summary
    from quickstart.loop import Loop

    gates: list[str] = []
    if min_accuracy is not None:
        gates += ["--min-accuracy", str(min_accuracy)]
    if min_recall is not None:
        gates += ["--min-recall", str(min_recall)]
    loop = Loop(folder, source, shown.settings, gates, console)
    try:
        story = loop.run()
        summary.show(console, story)
        if as_json:
            print_json(story.as_json())
        if story.failures:
            raise InfrastructureError(
                f"{len(story.failures)} of {story.requests} requests failed, the first with: {story.failures[0]}"
            )
        if keep_serving:
            image = next((folder / "dataset").glob("*/images/*"))
            summary.show_serving(console, loop.pod.url, loop.pod.address, str(image))
            _wait_for_interrupt()
    finally:
        loop.close()


def _images_of(model: "Model", console: "Console") -> Path | None:
    """The folder of a model's images; None for the first model, whose phantoms are drawn as they are needed."""
    if model.folder.name == _DRAWN:
        return None
    from cli.progress import shown
    from dataset import locate

    with shown(console, "Images") as tell:
        return locate(model.settings.dataset.uri, tell)


def _new_folder() -> Path:
    parent, name = Path.cwd() / ".trainyard", f"quickstart-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        parent.mkdir(exist_ok=True)
        for folder in (parent / name, *(parent / f"{name}-{number}" for number in range(2, 100))):
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise InfrastructureError(
            f"{parent} can't be written: {error.strerror}; start from a folder you own."
        ) from None
    raise InfrastructureError(f"{parent} is full of runs of this second; try again.")


def prepare(model: str, folder: Path) -> None:
    """Sets the environment of the commands that the loop starts: outbox, pods, import path."""
    import sys

    os.environ |= {
        "TRAINYARD_MODEL_NAME": model,
        "TRAINYARD_MAIL_OUTBOX": str(folder / "outbox"),
        "TRAINYARD_MAIL_SMTP_HOST": "",
        "TRAINYARD_SERVING_PODS": "",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        # From a PEX as from loose sources.
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path),
    }
    # TensorFlow takes three times as long to import where its bytecode may not be kept.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        # A second Ctrl-C must not cut the clean-up short.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    run(app)
