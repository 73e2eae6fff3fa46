"""Classify, Regress and MultiInference: signatures that take serialised tf.Example records."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    model_pb2,
    regression_pb2,
)

from serving.model_server.errors import ServingError, invalid
from serving.model_server.model import DEFAULT_SIGNATURE, SavedModel
from serving.model_server.records import records

Array = np.ndarray[Any, Any]
INPUTS, OUTPUTS, CLASSES, SCORES = "inputs", "outputs", "classes", "scores"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


def classify(
    model: SavedModel, spec: model_pb2.ModelSpec, given: input_pb2.Input | Array, check_method_name: bool = False
) -> classification_pb2.ClassificationResult:
    """Classes and scores of each example, or serialised record. Raises ServingError or TensorFlow's errors."""
    name = spec.signature_name or DEFAULT_SIGNATURE
    wanted = _classification_outputs(_signature(model, name), check_method_name)
    examples = given if isinstance(given, np.ndarray) else records(given)
    plan = model.plan(name, wanted)
    found = dict(zip(wanted, plan.run({INPUTS: examples}, "Classify"), strict=True))
    types = {tensor.alias: tensor.dtype for tensor in plan.outputs}
    for alias, dtype in ((CLASSES, types_pb2.DT_STRING), (SCORES, types_pb2.DT_FLOAT)):
        if alias in found and found[alias].ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(found[alias])}")
        if alias in found and types[alias] != dtype:
            wanted_name, got = types_pb2.DataType.Name(dtype), types_pb2.DataType.Name(types[alias])
            raise invalid(f"Expected {alias} Tensor of {wanted_name}. Got: {got}")
        if alias in found and len(found[alias]) != len(examples):
            raise invalid(f"Expected {alias} output batch size of {len(examples)}. Got: {len(found[alias])}")
    classes, scores = found.get(CLASSES), found.get(SCORES)
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    return _classifications(len(examples), classes, scores)


def _classification_outputs(signature: meta_graph_pb2.SignatureDef, check_method_name: bool) -> tuple[str, ...]:
    """The outputs that a classification takes. Raises ServingError for a signature of another kind."""
    _check_method("classification", CLASSIFY_METHOD, signature, check_method_name)
    wanted = tuple(alias for alias in (CLASSES, SCORES) if alias in signature.outputs)
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {signature}")
    if not wanted:
        raise invalid(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
            f"Signature was: {signature}"
        )
    return wanted


def _classifications(
    count: int, classes: Array | None, scores: Array | None
) -> classification_pb2.ClassificationResult:
    result = classification_pb2.ClassificationResult()
    labels = [[value.decode("utf-8", "replace") for value in row] for row in classes] if classes is not None else None
    numbers = scores.tolist() if scores is not None else None
    for position in range(count):
        row = result.classifications.add()
        for column in range(len((labels or numbers or [])[position])):
            row.classes.add(
                label=labels[position][column] if labels else "", score=numbers[position][column] if numbers else 0.0
            )
    return result


def regress(
    model: SavedModel, spec: model_pb2.ModelSpec, given: input_pb2.Input | Array, check_method_name: bool = False
) -> regression_pb2.RegressionResult:
    """One value for each example, or serialised record. Raises ServingError or TensorFlow's errors."""
    name = spec.signature_name or DEFAULT_SIGNATURE
    _check_regression(_signature(model, name), check_method_name)
    examples = given if isinstance(given, np.ndarray) else records(given)
    plan = model.plan(name, (OUTPUTS,))
    (values,) = plan.run({INPUTS: examples}, "Regress")
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(values)}"
        )
    if len(values) != len(examples):
        raise invalid(f"Input batch size did not match output batch size: {len(examples)} vs. {len(values)}")
    if plan.outputs[0].dtype != types_pb2.DT_FLOAT:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {types_pb2.DataType.Name(plan.outputs[0].dtype)}")
    result = regression_pb2.RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add(value=value)
    return result


def _check_regression(signature: meta_graph_pb2.SignatureDef, check_method_name: bool) -> None:
    _check_method("regression", REGRESS_METHOD, signature, check_method_name)
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {signature}")
    if OUTPUTS not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {signature}")


def multi_inference(
    model: SavedModel, version: int, request: inference_pb2.MultiInferenceRequest, check_method_name: bool = False
) -> inference_pb2.MultiInferenceResponse:
    """Several classifications and regressions of the same examples. Raises ServingError or TensorFlow's errors."""
    seen: set[str] = set()
    for task in request.tasks:  # every one, before the first is run
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if name in seen:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if name not in model.signatures:
            raise invalid(f"Requested signature not found in model graph: {name}")
        if task.method_name == CLASSIFY_METHOD:
            _classification_outputs(model.signatures[name], check_method_name)
        elif task.method_name == REGRESS_METHOD:
            _check_regression(model.signatures[name], check_method_name)
        else:
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
    response = inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        spec, result = task.model_spec, response.results.add()
        if task.method_name == CLASSIFY_METHOD:
            result.classification_result.CopyFrom(classify(model, spec, request.input, check_method_name))
        else:
            result.regression_result.CopyFrom(regress(model, spec, request.input, check_method_name))
        answered_by(result.model_spec, spec, version)
    return response


def answered_by(out: model_pb2.ModelSpec, asked: model_pb2.ModelSpec, version: int) -> None:
    """Fill `out` with the model, signature and version that answered a request for `asked`."""
    out.name = asked.name
    out.signature_name = asked.signature_name or DEFAULT_SIGNATURE
    out.version.value = version


def _shape(array: Array) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _signature(model: SavedModel, name: str) -> meta_graph_pb2.SignatureDef:
    signature = model.signatures.get(name)
    if signature is None:
        raise invalid(f"No signature was found with the name: {name}")
    return signature


def _check_method(kind: str, method: str, signature: meta_graph_pb2.SignatureDef, check: bool) -> None:
    if check and signature.method_name != method:
        raise invalid(f"Expected {kind} signature method_name to be {method}. Was: {signature.method_name}")
