"""The sizes and times of batches, from the file of --batching_parameters_file."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Any

from serving.model_server.errors import StartError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchingParameters:
    """Sizes count rows of a request's tensors; TensorFlow Serving's defaults."""

    max_batch_size: int = 1000
    timeout_seconds: float = 0.0
    max_enqueued_batches: int = 10
    threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    # Rows of one run; a larger request, up to max_batch_size, is run in several parts. None: as many as a request has.
    max_execution_size: int | None = None
    pad_variable_length: bool = False

    @property
    def execution_size(self) -> int:
        return self.max_execution_size or self.max_batch_size


def parameters(message: Any) -> BatchingParameters:
    """BatchingParameters of the text-format file. Raises StartError for values that make no sense."""
    given = {
        name: getattr(message, name).value
        for name in (
            "max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads",
            "max_execution_batch_size",
        )
        if message.HasField(name)
    }  # fmt: skip
    for name, value in given.items():
        if value < (0 if name == "batch_timeout_micros" else 1):
            raise StartError(f"{name} in the batching parameters must be positive, received {value}.")
    standard = BatchingParameters()
    largest = given.get("max_batch_size", standard.max_batch_size)
    allowed = tuple(message.allowed_batch_sizes)
    if allowed and (list(allowed) != sorted(set(allowed)) or allowed[0] < 1 or allowed[-1] != largest):
        raise StartError(f"allowed_batch_sizes must ascend to max_batch_size ({largest}), received {allowed}.")
    execution = given.get("max_execution_batch_size")
    if not message.enable_large_batch_splitting.value:
        if execution is not None:
            log.warning("max_execution_batch_size is without effect, as enable_large_batch_splitting is not set.")
        execution = None
    elif execution is not None and execution > largest:
        raise StartError(f"max_execution_batch_size must be at most max_batch_size ({largest}), received {execution}.")
    return BatchingParameters(
        largest, given.get("batch_timeout_micros", 0) / 1e6,
        given.get("max_enqueued_batches", standard.max_enqueued_batches),
        given.get("num_batch_threads", standard.threads), allowed, execution, message.pad_variable_length_inputs,
    )  # fmt: skip
