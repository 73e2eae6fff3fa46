"""TensorProto <-> NumPy, without a copy where the wire format allows it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.model_server.dtypes import dtype_name
from serving.model_server.errors import invalid

MAX_TENSOR_BYTES = 2**31 - 1  # as much as one message can hold; a shape alone must not allocate more

MAX_DIMENSIONS = 64  # NumPy's; the original takes 254

_FIELDS = {
    types_pb2.DT_FLOAT: "float_val", types_pb2.DT_DOUBLE: "double_val", types_pb2.DT_INT32: "int_val",
    types_pb2.DT_UINT8: "int_val", types_pb2.DT_INT16: "int_val", types_pb2.DT_INT8: "int_val",
    types_pb2.DT_UINT16: "int_val", types_pb2.DT_INT64: "int64_val", types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_UINT32: "uint32_val", types_pb2.DT_UINT64: "uint64_val", types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val", types_pb2.DT_COMPLEX64: "scomplex_val", types_pb2.DT_COMPLEX128: "dcomplex_val",
}  # fmt: skip
_NUMPY = {number: np.dtype(tf.as_dtype(number).as_numpy_dtype) for number in _FIELDS}
_BIT_PATTERNS = {types_pb2.DT_HALF, types_pb2.DT_BFLOAT16}
# Packed fields of fixed-width values hold little-endian memory as it is: (tag byte on the wire). See `from_array`.
_PACKED_TAGS = {types_pb2.DT_FLOAT: b"\x2a", types_pb2.DT_DOUBLE: b"\x32", types_pb2.DT_BOOL: b"\x5a"}


def numpy_dtype(number: int) -> np.dtype[Any] | None:
    """The NumPy type of a TensorFlow data type; object for strings, None when there is none."""
    return np.dtype(object) if number == types_pb2.DT_STRING else _NUMPY.get(number)


def to_array(proto: tensor_pb2.TensorProto, alias: str) -> np.ndarray[Any, Any]:
    """The tensor as an array (strings: an object array of bytes). Raises ServingError when it does not fit together."""
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    dtype = numpy_dtype(proto.dtype)
    if dtype is None or proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise invalid(f"tensor parsing error: {alias}")
    if len(shape) > MAX_DIMENSIONS:
        raise invalid(f"tensor parsing error: {alias} has {len(shape)} dimensions, more than {MAX_DIMENSIONS}")
    count = math.prod(shape)
    if count * dtype.itemsize > MAX_TENSOR_BYTES:
        raise invalid(f"tensor parsing error: {alias} has {count} elements, more than {MAX_TENSOR_BYTES} bytes")
    if proto.tensor_content:
        if dtype.kind == "O" or len(proto.tensor_content) != count * dtype.itemsize:
            raise invalid(f"tensor parsing error: {alias}")
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    return _spread(_values(proto, dtype), count, dtype).reshape(shape)


def _values(proto: tensor_pb2.TensorProto, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if dtype.kind == "O":
        values = np.empty(len(proto.string_val), dtype=object)
        values[:] = list(proto.string_val)
        return values
    field = getattr(proto, _FIELDS[proto.dtype])
    if proto.dtype in _BIT_PATTERNS:
        return np.array(field, np.int64).astype(np.uint16).view(dtype)
    if dtype.kind == "c":
        return np.array(field, np.float32 if dtype.itemsize == 8 else np.float64).view(dtype)
    if field and proto.dtype in (types_pb2.DT_UINT8, types_pb2.DT_INT8, types_pb2.DT_INT16, types_pb2.DT_UINT16):
        return np.array(field, np.int32).astype(dtype)
    return np.array(field, dtype)


def _spread(values: np.ndarray[Any, Any], count: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """`count` values: the last one given stands for all that are missing, nothing given for zeros."""
    if len(values) == count:
        return values
    if len(values) > count:
        return values[:count]
    full = np.full(count, values[-1] if len(values) else (b"" if dtype.kind == "O" else dtype.type(0)), dtype)
    full[: len(values)] = values
    return full


def from_array(array: np.ndarray[Any, Any], number: int, out: tensor_pb2.TensorProto, as_content: bool = False) -> None:
    """Fill `out` with `array` of the TensorFlow type `number`, in typed fields (`as_content`: in tensor_content)."""
    out.dtype = number
    out.tensor_shape.SetInParent()  # a scalar's is there, and empty: clients look into it unasked
    shape = out.tensor_shape.dim
    for size in array.shape:
        shape.add(size=size)
    if number == types_pb2.DT_STRING:
        out.string_val.extend([v if isinstance(v, bytes) else str(v).encode() for v in array.ravel()])
        return
    if as_content:
        out.tensor_content = array.tobytes()
        return
    tag = _PACKED_TAGS.get(number)
    if tag and array.size > 64:
        # A hundred times faster than extending the field with Python numbers, and the same message.
        data = array.tobytes()
        out.MergeFromString(tag + _varint(len(data)) + data)
    elif number in _BIT_PATTERNS:
        out.half_val.extend(array.ravel().view(np.uint16).tolist())
    elif array.dtype.kind == "c":
        getattr(out, _FIELDS[number]).extend(
            array.ravel().view(np.float32 if array.dtype.itemsize == 8 else np.float64).tolist()
        )
    elif number in _FIELDS:
        getattr(out, _FIELDS[number]).extend(array.ravel().tolist())
    else:
        raise invalid(f"Output of type {dtype_name(number)} cannot be sent.")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
