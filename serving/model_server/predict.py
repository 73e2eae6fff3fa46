"""Predict and GetModelMetadata on one loaded model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

from serving.model_server.errors import ServingError, invalid
from serving.model_server.examples import answered_by
from serving.model_server.model import DEFAULT_SIGNATURE, Array, Plan, SavedModel
from serving.model_server.tensors import from_array, to_array

_METHODS = [f"tensorflow/serving/{verb}" for verb in ("predict", "classify", "regress")]

# Tensors, and values of one, that become arrays in less than ten milliseconds.
_FEW, _SMALL = 64, 64 * 1024


@dataclass(frozen=True)
class PredictOptions:
    """Flags that change what Predict accepts and how it answers."""

    check_method_name: bool = False
    as_tensor_content: bool = False


def predict(
    model: SavedModel, version: int, request: predict_pb2.PredictRequest, options: PredictOptions
) -> predict_pb2.PredictResponse:
    """Run the signature that the request names. Raises ServingError or TensorFlow's errors."""
    plan = planned(model, request, options)
    return answer(plan, plan.run(inputs(request)), version, request, options)


def planned(model: SavedModel, request: predict_pb2.PredictRequest, options: PredictOptions) -> Plan:
    """How the model answers the request. Raises ServingError for a signature or outputs that it does not have."""
    signature, outputs = _choice(request)
    plan = model.plan(signature, outputs)
    if options.check_method_name:
        check_method_name(model, signature)
    return plan


def planned_before(model: SavedModel, request: predict_pb2.PredictRequest, options: PredictOptions) -> Plan | None:
    """As `planned`, if one like it was asked for before; finds that in no time."""
    plan = model.made_plan(*_choice(request))
    if plan is not None and options.check_method_name:
        check_method_name(model, _choice(request)[0])
    return plan


def _choice(request: predict_pb2.PredictRequest) -> tuple[str, tuple[str, ...]]:
    return request.model_spec.signature_name or DEFAULT_SIGNATURE, tuple(request.output_filter)


def read_at_once(request: predict_pb2.PredictRequest) -> bool:
    """Whether `inputs` takes no time: its tensors are few, and none is large by its shape alone."""
    return len(request.inputs) <= _FEW and all(
        proto.tensor_content or math.prod(dim.size for dim in proto.tensor_shape.dim) <= _SMALL
        for proto in request.inputs.values()
    )


def inputs(request: predict_pb2.PredictRequest) -> dict[str, Array]:
    """The request's tensors. Raises ServingError for one that does not fit together."""
    return {alias: to_array(proto, alias) for alias, proto in request.inputs.items()}


def answer(
    plan: Plan, arrays: list[Array], version: int, request: predict_pb2.PredictRequest, options: PredictOptions
) -> predict_pb2.PredictResponse:
    """What the run of a plan gave, as a message."""
    response = predict_pb2.PredictResponse()
    answered_by(response.model_spec, request.model_spec, version)
    for tensor, array in zip(plan.outputs, arrays, strict=True):
        from_array(array, tensor.dtype, response.outputs[tensor.alias], options.as_tensor_content)
    return response


def check_method_name(model: SavedModel, signature_name: str) -> None:
    """Raises ServingError for a signature that says of itself that it is for something else."""
    method = model.signatures[signature_name].method_name
    if method not in _METHODS:
        raise ServingError(
            grpc.StatusCode.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}. Was: {method}",
        )


def check_metadata(request: get_model_metadata_pb2.GetModelMetadataRequest) -> None:
    """Raises ServingError for any metadata field but signature_def, before the model is looked for."""
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")


def metadata(
    model: SavedModel, version: int, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The model's signatures, for a request that was checked."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    response.metadata["signature_def"].Pack(signature_map(model))
    return response


def signature_map(model: SavedModel) -> get_model_metadata_pb2.SignatureDefMap:
    """Every signature of the model."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in model.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    return signatures
