"""The SavedModel's session callable with nothing around it, and with decoding before it: the limit of every server."""

import functools
from pathlib import Path

import numpy as np

from imaging.array import canonical
from serving.model_server.model import SavedModel

# How many images a call takes, and how many threads decode and call, for so many at once.
_WAYS = {1: ((1, 1),), 8: ((4, 2), (8, 1), (1, 2)), 32: ((16, 2), (32, 1), (32, 2))}


class BareModel:
    """What a version answers, in this process."""

    def __init__(self, folder: str) -> None:
        # As it was saved: what the model server makes of it is the server's own.
        model = SavedModel(folder, constants=False)
        signature = model.signatures["serving_default"]
        outputs = tuple(signature.outputs[name].name for name in ("probabilities", "labels"))
        self._call = model.call((signature.inputs["pixels"].name,), outputs)
        self.size = int(signature.inputs["pixels"].tensor_shape.dim[1].size)

    def classes(self, pixels: np.ndarray) -> list[dict[str, float]]:
        """Class to probability for each of `pixels`, uint8 [N, size, size, channels]."""
        probabilities, labels = (np.asarray(found) for found in self._call(pixels))
        rows = np.asarray(labels).reshape(len(pixels), -1)
        return [
            {label.decode(): float(value) for label, value in zip(row, values, strict=True)}
            for row, values in zip(rows, probabilities, strict=True)
        ]


def answer(folder: str, image: str) -> None:
    """Says how quick the version in `folder` is with the file `image`, as often as standard input asks."""
    from benchmarks.limit import answer_lines, calls_a_second

    model, data = BareModel(folder), Path(image).read_bytes()

    def ask(batch: int) -> None:
        model.classes(np.stack([canonical(data, model.size) for _ in range(batch)]))

    def rate(many: int, seconds: float) -> float:
        each = seconds / len(_WAYS[many])
        return max(
            calls_a_second(functools.partial(ask, batch), threads, each) * batch for batch, threads in _WAYS[many]
        )

    answer_lines(rate, functools.partial(ask, 1))
