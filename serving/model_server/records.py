"""tensorflow.serving.Input -> serialised tf.Example records. Needs TensorFlow's messages alone, not the library."""

from __future__ import annotations

from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import input_pb2

from serving.model_server.errors import invalid

Array = np.ndarray[Any, Any]


def records(given: input_pb2.Input) -> Array:
    """The examples as serialised records, context features merged in. Raises ServingError when there are none."""
    kind = given.WhichOneof("kind")
    examples = getattr(given, kind).examples if kind else ()
    if not examples:
        raise invalid("Input is empty.")
    serialised = np.empty(len(examples), dtype=object)
    context = given.example_list_with_context.context if kind == "example_list_with_context" else None
    for position, example in enumerate(examples):
        if context is not None:
            merged = example_pb2.Example()
            merged.CopyFrom(context)
            for name, feature in example.features.feature.items():
                merged.features.feature[name].CopyFrom(feature)  # the example's own value wins
            example = merged
        serialised[position] = example.SerializeToString()
    return serialised
