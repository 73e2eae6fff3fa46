"""TensorProto <-> NumPy, held against TensorFlow's own conversion."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving.model_server.errors import ServingError
from serving.model_server.tensors import from_array, to_array

TYPES = [
    tf.float32, tf.float64, tf.int32, tf.uint8, tf.int16, tf.int8, tf.uint16, tf.int64, tf.bool, tf.uint32, tf.uint64,
    tf.half, tf.bfloat16, tf.complex64, tf.complex128,
]  # fmt: skip


def sample(dtype: tf.DType, count: int) -> np.ndarray:
    """`count` different values, as far as the type has them."""
    values = np.arange(count).astype(dtype.as_numpy_dtype)
    return values * (1 + 2j) if dtype.is_complex else values


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("count", [6, 600])
def test_every_type_survives_the_way_there_and_back(dtype: tf.DType, count: int) -> None:
    array = sample(dtype, count).astype(dtype.as_numpy_dtype).reshape(2, -1)
    proto = tensor_pb2.TensorProto()
    from_array(array, dtype.as_datatype_enum, proto)
    assert proto.tensor_content == b""
    np.testing.assert_array_equal(tf.make_ndarray(proto), array)
    np.testing.assert_array_equal(to_array(proto, "x"), array)
    np.testing.assert_array_equal(to_array(tf.make_tensor_proto(array), "x"), array)


def test_strings_survive() -> None:
    array = np.array([[b"a\x00", b""], [b"\xff", "ü".encode()]], object)
    proto = tensor_pb2.TensorProto()
    from_array(array, tf.string.as_datatype_enum, proto)
    assert to_array(proto, "x").tolist() == array.tolist()


@pytest.mark.parametrize(
    ("values", "expected"), [([], [0, 0, 0]), ([7], [7, 7, 7]), ([1, 2], [1, 2, 2]), ([1, 2, 3, 4], [1, 2, 3])]
)
def test_missing_values_are_filled_as_tensorflow_does(values: list[float], expected: list[float]) -> None:
    proto = tensor_pb2.TensorProto(dtype=1, float_val=values)
    proto.tensor_shape.dim.add(size=3)
    assert to_array(proto, "x").tolist() == expected


@pytest.mark.parametrize("size", [-1, 2**40])
def test_sizes_that_cannot_be_are_refused(size: int) -> None:
    proto = tensor_pb2.TensorProto(dtype=1, float_val=[1.0])
    proto.tensor_shape.dim.add(size=size)
    with pytest.raises(ServingError, match="tensor parsing error: x"):
        to_array(proto, "x")
