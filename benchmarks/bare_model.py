"""The SavedModel's session callable with nothing around it, and with decoding before it: the limit of every server."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from imaging.array import canonical
from serving.model_server.model import SavedModel

# How many images a call takes, and how many threads decode and call, for so many at once.
_WAYS = {1: ((1, 1),), 8: ((4, 2), (8, 1), (1, 2)), 32: ((16, 2), (32, 1), (32, 2))}


class BareModel:
    """What a version answers, in this process."""

    def __init__(self, folder: str) -> None:
        model = SavedModel(folder)
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


def limit(folder: str, image: bytes, seconds: float) -> dict[str, float]:
    """Images a second by how many at once, decoded and classified, in the best of a few ways; "alone" is the p50 of
    one image after the other, in ms."""
    model = BareModel(folder)

    def ask(batch: int) -> Callable[[], None]:
        return lambda: model.classes(np.stack([canonical(image, model.size) for _ in range(batch)])) and None

    took = []
    alone, end = ask(1), time.monotonic() + seconds
    while time.monotonic() < end or len(took) < 20:
        began = time.perf_counter()
        alone()
        took.append(time.perf_counter() - began)
    rates = {
        str(many): max(_rate(ask(batch), batch, threads, seconds) for batch, threads in ways)
        for many, ways in _WAYS.items()
    }
    return {**rates, "alone": sorted(took)[len(took) // 2] * 1000}


def _rate(ask: Callable[[], None], batch: int, threads: int, seconds: float) -> float:
    ask()

    def loop(_: int) -> int:
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            ask()
            count += batch
        return count

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        return sum(pool.map(loop, range(threads))) / (time.perf_counter() - began)
