"""Arrays -> JSON text, with floats as short as their type allows."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson
from tensorflow.core.framework import types_pb2

from serving.model_server.dtypes import Tensor, dtype_name
from serving.model_server.errors import invalid

Array = np.ndarray[Any, Any]
_SLICE = 2**16  # values that are written at once, while no other thread can run


def predictions(outputs: Sequence[Tensor], arrays: Sequence[Array], row_form: bool) -> bytes:
    """The answer of a predict request: `predictions` by row, or `outputs` by column."""
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    whole = _whole_text(outputs, arrays)
    if whole is not None:
        return b'{"%s": %s}' % (b"predictions" if row_form else b"outputs", whole)
    if row_form:
        return f'{{"predictions": {_rows(outputs, arrays)}}}'.encode()
    texts = [nested(tokens(tensor, array), array.shape) for tensor, array in zip(outputs, arrays, strict=True)]
    if len(outputs) == 1:
        return f'{{"outputs": {texts[0]}}}'.encode()
    named = ", ".join(f"{json.dumps(tensor.alias)}: {text}" for tensor, text in zip(outputs, texts, strict=True))
    return f'{{"outputs": {{{named}}}}}'.encode()


def _whole_text(outputs: Sequence[Tensor], arrays: Sequence[Array]) -> bytes | None:
    """The one output at once, where it holds floats; None for all others."""
    if len(outputs) != 1 or not arrays[0].size or arrays[0].ndim == 0:
        return None
    if outputs[0].dtype not in (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE):
        return None
    return f"[{', '.join(_pieces(arrays[0]))}]".encode()


def _pieces(array: Array) -> Iterator[str]:
    """The JSON text of `array`, without its outermost brackets, in parts to be joined by commas."""
    rows = max(1, _SLICE * len(array) // array.size)
    for start in range(0, len(array), rows):
        yield ", ".join(_written(array[start : start + rows]))[1:-1]


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
        return list(map(str, array.ravel().tolist()))
    if tensor.dtype in (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE):
        return decimals(array.ravel())
    raise invalid(f"Failed to write JSON value for tensor type: {dtype_name(tensor.dtype)}")


def string(value: bytes) -> str:
    """Bytes as JSON text; what is no UTF-8 is replaced."""
    return json.dumps(value.decode("utf-8", "replace"), ensure_ascii=False)


def decimals(values: Array) -> list[str]:
    """Floats of one type as the shortest decimal numbers that read back as the same float; whole ones end in ".0"."""
    return ", ".join(_pieces(values)).split(", ") if len(values) else []


def _written(values: Array) -> list[str]:
    """The JSON text of `values`, split at its commas, so that each part is a number with the brackets beside it."""
    texts = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY).decode().split(",")
    flat = values.ravel()
    size, inside = np.abs(flat), _inside_binade(flat)
    for index in np.flatnonzero(inside & (size < 1e-4)):
        text = texts[index].strip("[]")
        texts[index] = texts[index].replace(text, _scientific(text))
    for index in np.flatnonzero(~(inside & (size < 1e6) | (size == np.floor(size)) & (size < 1e6))):
        texts[index] = texts[index].replace(texts[index].strip("[]"), _decimal(flat[index]))
    return texts


def _inside_binade(values: Array) -> Array:
    """Which are neither powers of two nor denormal.

    Below those the gap to the next float is half as wide, and C's way, which is to try longer and longer
    numbers, may find another one than the shortest; these have fewer digits than it begins with.
    """
    with np.errstate(invalid="ignore"):
        return (np.abs(np.frexp(values)[0]) != 0.5) & (np.abs(values) > 4 * np.finfo(values.dtype).tiny)


def _scientific(text: str) -> str:
    """orjson's text of a number below 1e-4, as C writes it: with an exponent of two digits."""
    if "e" in text:
        digits, exponent = text.split("e-")
        return f"{digits}e-{exponent:0>2}"
    sign = "-" if text[0] == "-" else ""
    digits = text.lstrip("-0.")
    point = len(text.partition(".")[2]) - len(digits) + 1
    return f"{sign}{digits[0]}{'.' * (len(digits) > 1)}{digits[1:]}e-{point:02}"


def _decimal(value: np.floating[Any]) -> str:
    first, last = (6, 9) if value.dtype.itemsize == 4 else (15, 17)
    number = float(value)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    text = f"{number:.{first}g}"
    for digits in range(first + 1, last + 1):
        if value.dtype.type(float(text)) == value:
            break
        text = f"{number:.{digits}g}"
    return text if "." in text or "e" in text else text + ".0"
