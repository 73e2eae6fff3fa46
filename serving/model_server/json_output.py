"""Arrays -> JSON text, with floats as short as their type allows."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import orjson
from tensorflow.core.framework import types_pb2

from serving.model_server.dtypes import Tensor, dtype_name
from serving.model_server.errors import invalid

Array = np.ndarray[Any, Any]
_SLICE = 2**16  # values that are written at once, while no other thread can run


def predictions(outputs: Sequence[Tensor], arrays: Sequence[Array], row_form: bool) -> list[bytes]:
    """The answer of a predict request, in parts: `predictions` by row, or `outputs` by column.

    A large answer is never one text: to make it keeps every other thread waiting.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    if row_form:
        _check_rows(outputs, arrays)
        return list(_enclosed('{"predictions": [', _rows(outputs, arrays), "]}"))
    if len(outputs) == 1:
        return list(_column('{"outputs": ', outputs[0], arrays[0], "}"))
    parts: list[bytes] = []
    before, last = '{"outputs": {', len(outputs) - 1
    for position, (tensor, array) in enumerate(zip(outputs, arrays, strict=True)):
        after = "}}" if position == last else ", "
        parts += _column(f"{before}{json.dumps(tensor.alias)}: ", tensor, array, after)
        before = ""
    return parts


def _enclosed(before: str, pieces: Iterable[str], after: str) -> Iterator[bytes]:
    """The pieces, joined by commas, as the parts of a text that begins and ends so."""
    held = ""
    for position, piece in enumerate(pieces):
        if position:
            yield (before + held).encode()
            before = ", "
        held = piece
    yield (before + held + after).encode()


def _check_rows(outputs: Sequence[Tensor], arrays: Sequence[Array]) -> None:
    for tensor, array in zip(outputs, arrays, strict=True):
        if array.ndim == 0:
            raise invalid(f"Tensor name: {tensor.alias} has no shape information ")
        if len(array) != len(arrays[0]):
            raise invalid(
                f"Tensor name: {tensor.alias} has inconsistent batch size: {len(array)} expecting: {len(arrays[0])}"
            )


def _blocks(arrays: Sequence[Array]) -> Iterator[list[Array]]:
    """Some rows at a time, of every array the same."""
    most = max(array.size for array in arrays)
    rows = max(1, _SLICE * len(arrays[0]) // most) if most else max(1, len(arrays[0]))
    for start in range(0, len(arrays[0]), rows):
        yield [array[start : start + rows] for array in arrays]


def _rows(outputs: Sequence[Tensor], arrays: Sequence[Array]) -> Iterator[str]:
    keys = [json.dumps(tensor.alias) for tensor in outputs]
    for block in _blocks(arrays):
        if len(outputs) == 1:
            yield _inside(outputs[0], block[0])
            continue
        columns = [
            [nested(part, array.shape[1:]) for part in _split(tokens(tensor, array), len(array))]
            for tensor, array in zip(outputs, block, strict=True)
        ]
        rows = (
            ", ".join(f"{key}: {text}" for key, text in zip(keys, row, strict=True))
            for row in zip(*columns, strict=True)
        )
        yield ", ".join(f"{{{row}}}" for row in rows)


def _column(before: str, tensor: Tensor, array: Array, after: str) -> Iterator[bytes]:
    if array.ndim == 0 or not array.size:
        yield (before + nested(tokens(tensor, array), array.shape) + after).encode()
        return
    pieces = (_inside(tensor, block) for (block,) in _blocks([array]))
    yield from _enclosed(before + "[", pieces, "]" + after)


def _inside(tensor: Tensor, array: Array) -> str:
    """The JSON text of `array`, which has rows, without its outermost brackets."""
    if array.size and tensor.dtype in (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE):
        return ", ".join(_written(array))[1:-1]
    return nested(tokens(tensor, array), array.shape)[1:-1]


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
    texts: list[str] = []
    for (block,) in _blocks([values]):
        part = _written(block)
        part[0] = part[0].removeprefix("[")
        part[-1] = part[-1].removesuffix("]")
        texts += part
    return texts


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
