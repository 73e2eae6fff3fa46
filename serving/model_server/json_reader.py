"""What a REST request's body says, step by step: its signature, then its tensors or its examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from serving.model_server import json_document, json_examples, json_input
from serving.model_server.dtypes import Tensor
from serving.model_server.records import records

Array = np.ndarray[Any, Any]


class Body(Protocol):
    """A body that was parsed. Every method raises ServingError for what the API refuses."""

    def signature_name(self) -> str:
        """The signature asked for, "" for the standard one."""

    def inputs(self, tensors: Sequence[Tensor], most_rows: int | None) -> tuple[bool, dict[str, Array]]:
        """Of a predict request: whether it is in row form, and an array for each of `tensors`."""

    def examples(self) -> Array:
        """Of a classify or regress request: its examples as serialised records."""


class Reader:
    """A Body that is parsed here, in this process."""

    def __init__(self, body: bytes, verb: str) -> None:
        """Raises ServingError for what is no JSON object."""
        self._document = json_document.Document(body, careful=verb != "predict")

    def signature_name(self) -> str:
        """See Body."""
        return self._document.read(json_input.signature_name)

    def inputs(self, tensors: Sequence[Tensor], most_rows: int | None) -> tuple[bool, dict[str, Array]]:
        """See Body."""
        return self._document.read(lambda fields: json_input.predict_inputs(fields, tensors, most_rows))

    def examples(self) -> Array:
        """See Body."""
        return records(self._document.read(json_examples.examples))
