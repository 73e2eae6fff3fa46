"""Names and NumPy types of TensorFlow's data types. Needs TensorFlow's messages alone, not the library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature."""

    alias: str
    name: str
    dtype: int


# Of the types that JSON has a form for.
JSON_TYPES: dict[int, np.dtype[Any]] = {
    types_pb2.DT_FLOAT: np.dtype(np.float32), types_pb2.DT_DOUBLE: np.dtype(np.float64),
    types_pb2.DT_INT8: np.dtype(np.int8), types_pb2.DT_INT16: np.dtype(np.int16),
    types_pb2.DT_INT32: np.dtype(np.int32), types_pb2.DT_INT64: np.dtype(np.int64),
    types_pb2.DT_UINT8: np.dtype(np.uint8), types_pb2.DT_UINT16: np.dtype(np.uint16),
    types_pb2.DT_UINT32: np.dtype(np.uint32), types_pb2.DT_UINT64: np.dtype(np.uint64),
    types_pb2.DT_STRING: np.dtype(object), types_pb2.DT_BOOL: np.dtype(bool),
}  # fmt: skip


def dtype_name(number: int) -> str:
    """TensorFlow's name of a data type: "float", "int64", "string" …"""
    return types_pb2.DataType.Name(number)[3:].lower()
