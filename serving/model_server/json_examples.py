"""JSON bodies of classify and regress requests -> examples, and their results -> JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.model_server.errors import invalid
from serving.model_server.json_input import decoded, is_base64
from serving.model_server.json_output import decimals
from serving.model_server.json_shown import shown, type_name

_INT64 = (-(2**63), 2**63)
_KINDS = {"bytes": "bytes_list", "int64": "int64_list", "float": "float_list"}


def examples(document: dict[str, object]) -> input_pb2.Input:
    """The examples (with their context, if any) of a request. Raises ServingError for what is no example."""
    given = input_pb2.Input()
    target = given.example_list.examples
    if "context" in document:
        _fill(given.example_list_with_context.context, document["context"])
        target = given.example_list_with_context.examples
    if "examples" not in document:
        # The original says "classify" to a regress request as well.
        raise invalid(
            f"JSON Value: {shown(document)} When method is classify, key 'examples' is expected and was not found"
        )
    items = document["examples"]
    if not isinstance(items, list):
        raise invalid(f"JSON Value: {shown(document)} Expecting 'examples' value to be an list/array")
    if not items:
        raise invalid(f"JSON Value: {shown(document)} 'examples' value is an empty array")
    for item in items:
        _fill(target.add(), item)
    return given


def _fill(example: example_pb2.Example, item: Any) -> None:
    if not isinstance(item, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(item)}")
    for name, value in item.items():
        values = value if isinstance(value, list) and value is not None else [value]
        _fill_feature(example.features.feature[name], name, values)


def _fill_feature(feature: feature_pb2.Feature, name: str, values: list[Any]) -> None:
    kinds = {_kind(name, value) for value in values[:1]}
    for kind in kinds:
        for value in values:
            if _kind(name, value) != kind:
                raise invalid(f"Unexpected element type in feature: {name} expecting type: {kind}")
            if kind == "int64" and value >= _INT64[1]:
                raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        converted = [_MAKE[kind](value) for value in values]
        getattr(feature, _KINDS[kind]).value.extend(converted)


def _kind(name: str, value: Any) -> str:
    if isinstance(value, str) or is_base64(value):
        return "bytes"
    if isinstance(value, int):  # true is 1
        return "int64" if _INT64[0] <= value < 2**64 else "float"
    if isinstance(value, float):
        return "float"
    raise invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")


def _bytes(value: Any) -> bytes:
    return decoded(value) if isinstance(value, dict) else value.encode("utf-8", "surrogatepass")


_MAKE: dict[str, Callable[[Any], object]] = {"bytes": _bytes, "int64": int, "float": float}


def classifications(result: classification_pb2.ClassificationResult) -> bytes:
    """`results`: for each example its [label, score] pairs."""
    rows = []
    for row in result.classifications:
        scores = decimals(np.array([item.score for item in row.classes], np.float32))
        pairs = [f"[{json.dumps(item.label)}, {score}]" for item, score in zip(row.classes, scores, strict=True)]
        rows.append(f"[{', '.join(pairs)}]")
    return f'{{"results": [{", ".join(rows)}]}}'.encode()


def regressions(result: regression_pb2.RegressionResult) -> bytes:
    """`results`: for each example its value."""
    values = decimals(np.array([row.value for row in result.regressions], np.float32))
    return f'{{"results": [{", ".join(values)}]}}'.encode()
