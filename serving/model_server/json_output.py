"""Arrays -> JSON text, with floats as short as their type allows."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2

from serving.model_server.errors import invalid
from serving.model_server.model import Tensor
from serving.model_server.tensors import dtype_name

Array = np.ndarray[Any, Any]


def predictions(outputs: Sequence[Tensor], arrays: Sequence[Array], row_form: bool) -> bytes:
    """The answer of a predict request: `predictions` by row, or `outputs` by column."""
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    if row_form:
        return f'{{"predictions": {_rows(outputs, arrays)}}}'.encode()
    texts = [nested(tokens(tensor, array), array.shape) for tensor, array in zip(outputs, arrays, strict=True)]
    if len(outputs) == 1:
        return f'{{"outputs": {texts[0]}}}'.encode()
    named = ", ".join(f"{json.dumps(tensor.alias)}: {text}" for tensor, text in zip(outputs, texts, strict=True))
    return f'{{"outputs": {{{named}}}}}'.encode()


def _rows(outputs: Sequence[Tensor], arrays: Sequence[Array]) -> str:
    for tensor, array in zip(outputs, arrays, strict=True):
        if array.ndim == 0:
            raise invalid(f"Tensor name: {tensor.alias} has no shape information ")
        if len(array) != len(arrays[0]):
            raise invalid(
                f"Tensor name: {tensor.alias} has inconsistent batch size: {len(array)} expecting: {len(arrays[0])}"
            )
    if len(arrays[0]) == 0:
        return "[]"
    columns = [
        [nested(part, array.shape[1:]) for part in _split(tokens(tensor, array), len(array))]
        for tensor, array in zip(outputs, arrays, strict=True)
    ]
    if len(outputs) == 1:
        return f"[{', '.join(columns[0])}]"
    keys = [json.dumps(tensor.alias) for tensor in outputs]
    rows = (
        ", ".join(f"{key}: {text}" for key, text in zip(keys, row, strict=True)) for row in zip(*columns, strict=True)
    )
    return "[" + ", ".join(f"{{{row}}}" for row in rows) + "]"


def _split(flat: list[str], count: int) -> list[list[str]]:
    size = len(flat) // count
    return [flat[i * size : (i + 1) * size] for i in range(count)]


def nested(flat: list[str], shape: Sequence[int]) -> str:
    """JSON text of the values `flat` in nested lists of `shape`."""
    for axis in range(len(shape) - 1, -1, -1):
        size = shape[axis]
        flat = [f"[{', '.join(flat[i * size : (i + 1) * size])}]" for i in range(math.prod(shape[:axis]))]
    return flat[0]


def tokens(tensor: Tensor, array: Array) -> list[str]:
    """Every value of `array` as JSON text. Raises ServingError for types that JSON has no form for."""
    if tensor.dtype == types_pb2.DT_STRING:
        if tensor.alias.endswith("_bytes"):
            return [f'{{"b64": "{base64.b64encode(value).decode()}"}}' for value in array.ravel()]
        return [string(value) for value in array.ravel()]
    if tensor.dtype == types_pb2.DT_BOOL:
        return ["true" if value else "false" for value in array.ravel()]
    if array.dtype.kind in "iu":
        return [str(value) for value in array.ravel().tolist()]
    if tensor.dtype in (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE):
        return decimals(array.ravel())
    raise invalid(
        f"Failed to convert tensor {tensor.alias} to JSON: tensor type: {dtype_name(tensor.dtype)} is not supported"
    )


def string(value: bytes) -> str:
    """Bytes as JSON text; what is no UTF-8 is replaced."""
    return json.dumps(value.decode("utf-8", "replace"), ensure_ascii=False)


def decimals(values: Array) -> list[str]:
    """Floats of one type as the shortest decimal numbers that read back as the same float; whole ones end in ".0"."""
    first, last = (6, 9) if values.dtype.itemsize == 4 else (15, 17)
    numbers = values.tolist()
    texts = [f"{number:.{first}g}" for number in numbers]
    for digits in range(first + 1, last + 1):
        read = np.array(texts, np.float64).astype(values.dtype) if texts else values
        for index in np.flatnonzero((read != values) & np.isfinite(values)):
            texts[index] = f"{numbers[index]:.{digits}g}"
    return [_decimal(text) for text in texts]


def _decimal(text: str) -> str:
    if "." in text or "e" in text:
        return text
    if text[-1].isdigit():
        return text + ".0"
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[text]
