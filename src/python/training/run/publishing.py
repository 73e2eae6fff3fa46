"""What of a trained network is published: its SavedModel, and some images with its answers."""

import base64
import shutil
from pathlib import Path

import keras
import numpy as np

from contracts.about import About, plain_card
from contracts.record import Golden
from dataset import Dataset
from imaging import ImageInput
from imaging.array import encode_png
from models import Model
from models.files import CARD
from training import export

_GOLDEN_IMAGES = 6


def export_once(
    network: keras.Model,
    image: ImageInput,
    data: Dataset,
    temperature: float,
    name: str,
    folder: Path,
    about: About | None,
) -> dict[str, object]:
    """Writes the SavedModel of model `name` to `folder`, if none is there, and returns its signature for the record.

    It tells `about` itself to whoever may ask its adapter.

    Once and for all: two exports of one network differ, if only in their names.
    """
    if folder.is_dir():
        return export.signature(network, data.labels)
    draft = folder.with_name("draft")
    shutil.rmtree(draft, ignore_errors=True)
    images = data.arrays("validation", image)[0]
    signature = export.export(network, data.labels, draft, name, images, image, temperature, about)
    draft.rename(folder)
    return signature


def card_of(model: Model) -> str:
    """The text of the model's card, as it is now; "" where there is none that can be read."""
    try:
        return plain_card((model.folder / CARD).read_text("utf-8"))
    except (OSError, ValueError):
        return ""


def golden_of(folder: Path, pixels: np.ndarray, truth: np.ndarray) -> list[Golden]:
    """Some test images, of every class in turn, with what the SavedModel in `folder` answers."""
    by_class = [list(np.flatnonzero(truth == label)) for label in np.unique(truth)]
    turns = [places[turn] for turn in range(_GOLDEN_IMAGES) for places in by_class if turn < len(places)]
    chosen = pixels[turns[:_GOLDEN_IMAGES]]
    return [
        Golden(image=base64.b64encode(encode_png(image)).decode(), probabilities=[float(p) for p in answer])
        for image, answer in zip(chosen, export.answers(folder, chosen), strict=True)
    ]
