"""What the verbs share: their flags, and the model that is meant."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import UsageError, progress_console
from cli.home import home_expanded

if TYPE_CHECKING:
    from imaging import ImageInput
    from settings import Settings

Dataset = Annotated[
    str | None, typer.Option(help="The images: a folder per class, or a pointer to one. Default: [dataset] uri.")
]
ModelName = Annotated[
    str | None, typer.Option("--model", "--model-name", help="The model: its settings, and what it sees of an image.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")]


# A path that was an address: of two slashes one is left.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.DOTALL)


def require_local(path: Path, otherwise: str) -> None:
    """
    Raises:
        UsageError: `path` was given as an address, as in gs://BUCKET; `otherwise` goes on with the sentence.
    """
    if found := _ADDRESS.fullmatch(str(path)):
        raise UsageError(f"{found[1]}://{found[2]} {otherwise}")


def settings_of(model: str | None) -> "tuple[Settings, ImageInput | None]":
    """The settings of a model, and what it sees of an image; without any model those of trainyard.toml."""
    import models
    import settings

    if model is None and not models.known():
        return settings.load(), None
    found = models.find(model)
    for note in models.concerning(found.notes, "dataset"):
        progress_console().print(note, markup=False, soft_wrap=True)
    return found.settings, found.input


def used_by(uri: str) -> list[str]:
    """The models that are made from a dataset."""
    import models

    here = str(home_expanded(uri).absolute())
    return [one.name for one in models.known() if str(Path(one.settings.dataset.uri).absolute()) == here]
