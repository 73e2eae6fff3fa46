"""Requests that several tests make."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

DT_FLOAT = 1


def request(model: str = "half_plus_two", signature: str = "", **inputs: object) -> predict_pb2.PredictRequest:
    """A PredictRequest with float inputs of their own shape."""
    message = predict_pb2.PredictRequest()
    message.model_spec.name = model
    message.model_spec.signature_name = signature
    for alias, value in inputs.items():
        array = np.asarray(value, np.float32)
        proto = message.inputs[alias]
        proto.dtype = DT_FLOAT
        for size in array.shape:
            proto.tensor_shape.dim.add(size=size)
        proto.float_val.extend(array.ravel().tolist())
    return message


def refusal(call: object, message: object) -> tuple[str, str]:
    """(code, text) of a call that must fail."""
    with pytest.raises(grpc.RpcError) as failure:
        call(message, timeout=20)  # type: ignore[operator]
    return failure.value.code().name, failure.value.details()
