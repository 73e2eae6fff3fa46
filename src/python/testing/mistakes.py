"""The held-out images that a model got most wrong, small enough for a report."""

import base64
from collections.abc import Sequence

import pages
from contracts.verdict import Mistake
from imaging import ImageInput
from serving.client import Prediction
from testing.subject import Labelled

MOST = 12


def worst(images: Sequence[Labelled], answers: Sequence[Prediction], seen: ImageInput) -> list[Mistake]:
    """The images answered wrong, the most certain first, as thumbnails in the colours of `seen`."""
    wrong = [(i, a) for i, a in zip(images, answers, strict=True) if a.label != i.label]
    # A hostile model may answer with a class that it gives no probability.
    wrong.sort(key=lambda pair: -pair[1].scores.get(pair[1].label, 0.0))
    return [
        Mistake(
            name=image.name,
            label=image.label,
            answered=answer.label,
            probability=answer.scores.get(answer.label, 0.0),
            image=base64.b64encode(pages.thumbnail_png(image.image, seen.channels, seen.white)).decode(),
        )
        for image, answer in wrong[:MOST]
    ]
