"""The held-out images that a model got most wrong, small enough for a report."""

import base64
import io
from collections.abc import Sequence
from typing import Any

from serving.client import Prediction
from testing.subject import Labelled

MOST = 12
_SIDE = 160  # pixels


def worst(images: Sequence[Labelled], answers: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The images answered wrong, the most certain first, as thumbnails: PNG in base64."""
    wrong = [(i, a) for i, a in zip(images, answers, strict=True) if a.label != i.label]
    wrong.sort(key=lambda pair: -pair[1].scores[pair[1].label])
    return [
        {
            "name": image.name,
            "label": image.label,
            "answered": answer.label,
            "probability": answer.scores[answer.label],
            "image": base64.b64encode(_thumbnail(image.image)).decode(),
        }
        for image, answer in wrong[:MOST]
    ]


def _thumbnail(data: bytes) -> bytes:
    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("L")
    image.thumbnail((_SIDE, _SIDE))
    small = io.BytesIO()
    image.save(small, "PNG")
    return small.getvalue()
