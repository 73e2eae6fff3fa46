"""Reads a SavedModel folder as data, before anything loads it: what it holds, takes, gives, and can do.

A SavedModel is a program. Loading or serving it runs its operations with the rights of the server, so what it may do
is settled here, from its bytes, without TensorFlow (docs/decisions/0005).
"""

from pathlib import Path

from contracts.about import About
from imaging import ImageInput
from inspection import files, graph, operations, signature

__all__ = ["problems"]


def problems(folder: Path, labels: list[str], image: ImageInput | int, about: About | None = None) -> list[str]:
    """Every reason why the SavedModel in `folder` must not be loaded or breaks the contract; [] when there is none.

    `labels` are the record's classes, `image` the input that it was trained for, or its size in pixels; `about`
    is what it may tell of itself. Nothing in the folder makes this raise: whatever can't be read is a reason.
    """
    found, reasons = files.check(folder)
    if files.GRAPH not in found:
        return reasons
    model, more = graph.read(folder / files.GRAPH)
    reasons += more
    if model is None:
        return reasons
    return [
        *reasons,
        *files.variables(found, needed=graph.has_variables(model)),
        *signature.check(model, labels, ImageInput.of(image), about),
        *graph.names(model),
        *operations.check(model),
    ]
