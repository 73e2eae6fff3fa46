"""What JSON bodies hold -> arrays, by TensorFlow Serving's rules (row form `instances`, column form `inputs`)."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2

from serving.model_server import json_lift
from serving.model_server.dtypes import JSON_TYPES, Tensor, dtype_name
from serving.model_server.errors import ServingError, invalid
from serving.model_server.json_document import TooManyRowsError
from serving.model_server.json_shown import shown, type_name

Array = np.ndarray[Any, Any]
_RANGES = {
    types_pb2.DT_INT8: (-(2**7), 2**7), types_pb2.DT_INT16: (-(2**15), 2**15), types_pb2.DT_INT32: (-(2**31), 2**31),
    types_pb2.DT_INT64: (-(2**63), 2**63), types_pb2.DT_UINT8: (0, 2**8), types_pb2.DT_UINT16: (0, 2**16),
    types_pb2.DT_UINT32: (0, 2**32), types_pb2.DT_UINT64: (0, 2**64),
}  # fmt: skip
_FLOATS = {types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE}
_VALUES = 2**16  # that NumPy reads at once
_BASE64 = re.compile(r"([A-Za-z0-9+/]*)([=.]*)")
_SPACE = dict.fromkeys(map(ord, " \t\n\v\f\r"))


def signature_name(document: dict[str, object]) -> str:
    """The value of `signature_name`, "" when there is none."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def predict_inputs(
    document: dict[str, object], tensors: Sequence[Tensor], most_rows: int | None = None
) -> tuple[bool, dict[str, Array]]:
    """(whether the request is in row form, alias -> array) of a predict request for the inputs `tensors`.

    More than `most_rows` rows are refused before a value of them is converted.
    """
    if not tensors and document.get("inputs") != {}:  # the original refuses that as well
        name = signature_name(document) or "DEFAULT"
        raise invalid(f"Failed to get input map for signature: {name}")
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys "
            "to exist "
        )
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, (list, np.ndarray)):
            raise invalid(f"JSON Value: {shown(document)} Expecting 'instances' to be an list/array")
        if not len(instances):
            raise invalid(f"JSON Value: {shown(document)} No values in 'instances' array")
        if most_rows is not None and len(instances) > most_rows:
            raise TooManyRowsError(too_many_rows(len(instances), most_rows))
        return True, _rows(instances, tensors)
    if "inputs" in document:
        return False, _columns(document["inputs"], tensors)
    raise invalid("Missing 'inputs' or 'instances' key")


def _columns(value: Any, tensors: Sequence[Tensor]) -> dict[str, Array]:
    if isinstance(value, dict) and not is_base64(value):
        for tensor in tensors:
            if tensor.alias not in value:
                raise invalid(f"Missing named input: {tensor.alias} in 'inputs' object.")
        return {tensor.alias: dense(value[tensor.alias], tensor.dtype) for tensor in tensors}
    if len(tensors) != 1:
        raise invalid(
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map"
        )
    return {tensors[0].alias: dense(value, tensors[0].dtype)}


def _rows(instances: Any, tensors: Sequence[Tensor]) -> dict[str, Array]:
    if isinstance(instances, np.ndarray):
        if len(tensors) != 1:
            raise json_lift.NotPlainError
        return {tensors[0].alias: _converted(instances, tensors[0].dtype)}
    objects = _is_object(instances[0])
    if not objects and len(tensors) != 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    try:
        if not objects:
            return {tensors[0].alias: _stack(instances, tensors[0].dtype)}
        aliases = {tensor.alias for tensor in tensors}
        if not all(_is_object(item) and item.keys() == aliases for item in instances):
            raise invalid("An instance does not name every input, or other ones.")
        return {tensor.alias: _stack([item[tensor.alias] for item in instances], tensor.dtype) for tensor in tensors}
    except ServingError:
        _refuse_first(instances, tensors, objects)
        raise


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _stack(items: list[Any], dtype: int) -> Array:
    """One array from one value per instance, all of one shape."""
    if isinstance(items[0], np.ndarray):
        if all(isinstance(item, np.ndarray) and item.shape == items[0].shape for item in items):
            return np.stack([_converted(item, dtype) for item in items])
        raise json_lift.NotPlainError
    fast = _fast_rows(items, dtype)
    if fast is not None:
        return fast
    shape = list(dense(items[0], dtype).shape)
    flat: list[Any] = []
    for item in items:
        _flatten(item, 0, shape, dtype, flat)
    return _array(flat, [len(items), *shape], dtype)


def _refuse_first(instances: list[Any], tensors: Sequence[Tensor], objects: bool) -> None:
    """Raises ServingError with what the original says of the first instance that is wrong."""
    named = {tensor.alias: tensor.dtype for tensor in tensors}
    sizes: dict[str, Array] = {}

    def check(alias: str, value: Any) -> None:
        if alias not in named:
            raise invalid(f"JSON object: does not have named input: {alias}")
        array = dense(value, named[alias])
        first = sizes.setdefault(alias, array)
        if array.size != first.size:
            raise invalid(f"Expecting tensor size: {first.size} but got: {array.size}")
        if array.shape != first.shape:
            raise invalid(f"Expecting shape {_sizes(first)} but got: {_sizes(array)}")

    for position, item in enumerate(instances):
        if _is_object(item) != objects:
            wanted, got = ("object", "list") if objects else ("value/list", "object")
            raise invalid(f"Expecting {wanted} but got {got} at item {position} of input list")
        key = ""
        try:
            for alias, value in item.items() if objects else [(tensors[0].alias, item)]:
                key = f" key: {alias}" if objects else ""
                check(alias, value)
        except ServingError as error:
            raise invalid(f"Failed to process element: {position}{key} of 'instances' list. Error: {error}") from None
        if objects and item.keys() != named.keys():
            raise invalid(
                f"Failed to process element: {position} of 'instances' list. JSON object: {shown(item)} keys must be "
                f"equal to: {','.join(sorted(named))}"
            )


def _sizes(array: Array) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def dense(value: Any, dtype: int) -> Array:
    """A nested list (or a single value) as an array of the TensorFlow type `dtype`."""
    if dtype not in JSON_TYPES:
        while isinstance(value, list) and value:
            value = value[0]
        message = f"Conversion of JSON Value: {shown(value)} to type: {dtype_name(dtype)}"
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, message)
    if isinstance(value, np.ndarray):
        return _converted(value, dtype)
    fast = _fast(value, dtype)
    if fast is not None:
        return fast
    shape: list[int] = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        if not inner:
            break
        inner = inner[0]
    flat: list[Any] = []
    _flatten(value, 0, shape, dtype, flat)
    return _array(flat, shape, dtype)


def _array(flat: list[Any], shape: list[int], dtype: int) -> Array:
    target = JSON_TYPES[dtype]
    array = np.empty(len(flat), target)
    with np.errstate(over="ignore"):
        if target.kind == "O":
            array[:] = flat
        else:
            array[:] = np.array(flat, np.float64 if dtype in _FLOATS else target)
    try:
        return array.reshape(shape)
    except ValueError:
        raise invalid(f"Expecting at most 64 dimensions but got {len(shape)}") from None


def _converted(array: Array, dtype: int) -> Array:
    """Numbers that were lifted out, as the TensorFlow type `dtype`. Raises NotPlainError if they are of another."""
    if dtype in _FLOATS:
        with np.errstate(over="ignore"):
            return array.astype(JSON_TYPES[dtype])
    low, high = _RANGES.get(dtype, (0, 0))
    if array.dtype.kind == "i" and array.size and int(array.min()) >= low and int(array.max()) < high:
        return array.astype(JSON_TYPES[dtype])
    raise json_lift.NotPlainError


def too_many_rows(rows: int, most: int) -> str:
    """What a request for more rows than a batch holds is told."""
    return f"Task size {rows} is larger than maximum input batch size {most}"


def _fast_rows(items: list[Any], dtype: int) -> Array | None:
    """As `_fast`, some rows at a time: NumPy lets no other thread run while it reads a list."""
    size, inner = 1, items[0]
    while isinstance(inner, list) and inner:
        size, inner = size * len(inner), inner[0]
    parts = max(1, min(len(items), len(items) * size // _VALUES))
    if parts == 1:
        return _fast(items, dtype)
    arrays: list[Array] = []
    for part in range(parts):
        array = _fast(items[len(items) * part // parts : len(items) * (part + 1) // parts], dtype)
        if array is None or array.shape[1:] != (arrays or [array])[0].shape[1:]:
            return None
        arrays.append(array)
    return np.concatenate(arrays)


def _fast(value: Any, dtype: int) -> Array | None:
    """The array when `value` is plain numbers in a rectangle, converted at once; None when it needs the careful way."""
    if dtype not in _FLOATS and dtype not in _RANGES:
        return None
    if not isinstance(value, list) or not value:
        return None
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    if array.size == 0 or (array.dtype.kind not in "iu" and not (array.dtype.kind == "f" and dtype in _FLOATS)):
        return None
    if array.size <= 16 or _has_booleans(value):  # NumPy turns true into 1 next to numbers
        return None
    if dtype in _RANGES:
        low, high = _RANGES[dtype]
        if int(array.min()) < low or int(array.max()) >= high:
            return None
    with np.errstate(over="ignore"):
        return array.astype(JSON_TYPES[dtype])


def _has_booleans(value: list[Any]) -> bool:
    if value and isinstance(value[0], list):
        return any(map(_has_booleans, value))
    return bool in set(map(type, value))


def _flatten(value: Any, level: int, shape: list[int], dtype: int, flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        flat.append(_scalar(value, dtype))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _flatten(item, level + 1, shape, dtype, flat)


def _scalar(value: Any, dtype: int) -> Any:
    if dtype == types_pb2.DT_STRING:
        if isinstance(value, dict):
            return decoded(value)
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
    elif dtype == types_pb2.DT_BOOL:
        if isinstance(value, bool):
            return value
    elif isinstance(value, bool):
        pass
    elif dtype in _FLOATS and isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.copysign(math.inf, value)
    elif dtype in _RANGES and isinstance(value, int):
        low, high = _RANGES[dtype]
        if low <= value < high:
            return value
    raise invalid(f"JSON Value: {shown(value)} Type: {type_name(value)} is not of expected type: {dtype_name(dtype)}")


def is_base64(value: Any) -> bool:
    """Whether `value` is {"b64": "text"} and nothing else."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def decoded(value: dict[str, object]) -> bytes:
    text = value.get("b64")
    if not is_base64(value) or not isinstance(text, str):
        raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    if len(text) % 4 == 0 and not text.endswith("==="):
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            pass  # not as it is usually written
    # As the original reads it: lines may be broken, padding may be left out but not be wrong, a dot pads as well.
    match = _BASE64.fullmatch(text.translate(_SPACE))
    missing = -len(match[1]) % 4 if match else 3
    if match is None or missing == 3 or len(match[2]) not in (0, missing):
        raise invalid("Unable to base64 decode")
    return base64.b64decode(match[1] + "=" * missing)
