"""Predict, metadata and status over gRPC, against a running server."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from tests.integration.model_server.requests import DT_FLOAT, refusal, request
from tests.integration.model_server.servers import Server


@pytest.mark.parametrize("output_filter", [[], ["y"]])
def test_predict_answers_in_typed_fields_and_names_the_version(server: Server, output_filter: list[str]) -> None:
    message = request(x=[2.0])
    message.model_spec.version.value = 123
    message.output_filter.extend(output_filter)
    answer = server.predictions.Predict(message, timeout=20)
    assert list(answer.outputs) == ["y"]
    assert list(answer.outputs["y"].float_val) == [3.0]
    assert answer.outputs["y"].tensor_content == b""
    assert json_format.MessageToDict(answer.model_spec) == {
        "name": "half_plus_two", "signatureName": "serving_default", "version": "123",
    }  # fmt: skip


def test_without_a_version_the_latest_answers(server: Server) -> None:
    answer = server.predictions.Predict(request(x=[2.0]), timeout=20)
    assert (answer.model_spec.version.value, list(answer.outputs["y"].float_val)) == (124, [4.0])


@pytest.mark.parametrize(("label", "version"), [("stable", 123), ("canary", 124)])
def test_a_label_chooses_the_version(server: Server, label: str, version: int) -> None:
    message = request(x=[2.0])
    message.model_spec.version_label = label
    assert server.predictions.Predict(message, timeout=20).model_spec.version.value == version


def test_thousands_of_calls_that_come_at_one_moment_are_all_answered(server: Server) -> None:
    asked = [server.predictions.Predict.future(request(x=[2.0]), timeout=100) for _ in range(5000)]
    assert {int(call.result().model_spec.version.value) for call in asked} == {124}


def test_typed_fields_also_for_many_elements_and_above_four_mebibytes(server: Server) -> None:
    values = np.arange(2_000_000, dtype=np.float32)
    message = request()
    message.inputs["x"].dtype = DT_FLOAT
    message.inputs["x"].tensor_shape.dim.add(size=len(values))
    message.inputs["x"].tensor_content = values.tobytes()
    message.model_spec.version.value = 123
    answer = server.predictions.Predict(message, timeout=20)
    np.testing.assert_array_equal(np.array(answer.outputs["y"].float_val, np.float32), values * 0.5 + 2)


def test_state_is_kept_between_requests(server: Server) -> None:
    def call(signature: str, **inputs: object) -> float:
        return (
            server.predictions.Predict(request("counter", signature, **inputs), timeout=20)
            .outputs["output"]
            .float_val[0]
        )

    call("reset_counter")
    names = ["get_counter", "incr_counter", "reset_counter", "incr_counter"]
    assert [call(name) for name in names] == [0, 1, 0, 1]
    assert call("incr_counter_by", delta=3.0) == 4


def test_unknown_things_are_refused_with_the_code_of_the_original(server: Server) -> None:
    predict = server.predictions.Predict
    unknown_version = request(x=[2.0])
    unknown_version.model_spec.version.value = 99
    unknown_label = request(x=[2.0])
    unknown_label.model_spec.version_label = "x"
    filtered = request(x=[2.0])
    filtered.output_filter.append("output_filter")
    doubled = request(x=[2.0])
    doubled.output_filter.extend(["y", "y"])
    rows = [
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (request(""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (request("foo", x=[2.0]), "NOT_FOUND", "Servable not found for request: Latest(foo)"),
        (unknown_version, "NOT_FOUND", "Servable not found for request: Specific(half_plus_two, 99)"),
        (unknown_label, "INVALID_ARGUMENT", "Unrecognized servable version label: x"),
        (request(signature="x", x=[2.0]), "FAILED_PRECONDITION", 'Serving signature key "x" not found.'),
        (request(key=[2.0]), "INVALID_ARGUMENT", "input tensor alias not found in signature: key"),
        (request(unknown_key1=1.0, unknown_key2=1.0), "INVALID_ARGUMENT", "Sent extra: {unknown_key1,unknown_key2}"),
        (request(unknown_key1=1.0, unknown_key2=1.0), "INVALID_ARGUMENT", "Missing but required: {x}"),
        (filtered, "INVALID_ARGUMENT", "output tensor alias not found in signature: output_filter"),
        (doubled, "INVALID_ARGUMENT", "duplicate output tensor alias: y"),
    ]
    for message, code, text in rows:
        refused, details = refusal(predict, message)
        assert refused == code, message
        assert text in details


def test_a_tensor_that_does_not_fit_together_is_refused(server: Server) -> None:
    broken = request(x=[2.0])
    broken.inputs["x"].float_val[:] = []
    broken.inputs["x"].tensor_content = b"abc"
    assert refusal(server.predictions.Predict, broken)[0] == "INVALID_ARGUMENT"
    huge = request(x=[2.0])
    huge.inputs["x"].tensor_shape.dim[0].size = 2**40
    assert refusal(server.predictions.Predict, huge)[0] == "INVALID_ARGUMENT"
    whole = request(x=[2.0])
    whole.inputs["x"].dtype = 3
    assert refusal(server.predictions.Predict, whole)[0] == "INVALID_ARGUMENT"


def test_metadata_names_every_signature(server: Server) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "half_plus_two"
    message.model_spec.version.value = 123
    answer = server.predictions.GetModelMetadata(message, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "regress_x_to_y", "classify_x_to_y"} <= signatures.signature_def.keys()
    assert (answer.model_spec.version.value, answer.model_spec.signature_name) == (123, "")
    message.metadata_field[:] = ["x"]
    message.model_spec.name = "unknown"  # the field is looked at first
    assert refusal(server.predictions.GetModelMetadata, message) == (
        "INVALID_ARGUMENT",
        "Metadata field x is not supported",
    )


def test_the_shape_of_a_scalar_is_there_and_empty(server: Server) -> None:
    for message in (request(x=2.0), request("counter", "get_counter")):
        (tensor,) = server.predictions.Predict(message, timeout=20).outputs.values()
        assert tensor.HasField("tensor_shape")
        assert not tensor.tensor_shape.dim


def test_a_classification_has_no_more_than_two_outputs(server: Server) -> None:
    message = classification_pb2.ClassificationRequest()
    message.model_spec.name, message.model_spec.signature_name = "half_plus_two", "classify_too_much"
    message.input.example_list.examples.add().features.feature["x"].float_list.value.append(2.0)
    assert refusal(server.predictions.Classify, message) == (
        "INVALID_ARGUMENT",
        "Expected one or two output Tensors, found 3",
    )


def test_reflection_names_the_services(server: Server) -> None:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([asked]), timeout=20)
    names = {service.name for service in answer.list_services_response.service}
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= names


def test_status_of_all_versions_and_of_one(server: Server) -> None:
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "half_plus_two"
    rows = server.models.GetModelStatus(message, timeout=20).model_version_status
    assert {(row.version, row.state, row.status.error_code, row.status.error_message) for row in rows} == {
        (123, 30, 0, ""), (124, 30, 0, ""),
    }  # fmt: skip
    message.model_spec.version.value = 9
    assert refusal(server.models.GetModelStatus, message) == (
        "NOT_FOUND",
        "Could not find version 9 of model half_plus_two",
    )
    message.model_spec.name = "x"
    assert refusal(server.models.GetModelStatus, message) == ("NOT_FOUND", "Could not find any versions of model x")


def test_only_model_config_lists_can_be_sent(server: Server) -> None:
    code, text = refusal(server.models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest())
    assert code == "INVALID_ARGUMENT"
    assert "ServerModelConfig type not supported by HandleReloadConfigRequest" in text


@pytest.mark.parametrize("service", ["ModelService", "PredictionService"])
def test_health_service_answers(server: Server, service: str) -> None:
    health = health_pb2_grpc.HealthStub(server.channel)
    assert health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status == 1


def test_unknown_method_is_unimplemented(server: Server) -> None:
    call = server.channel.unary_unary("/tensorflow.serving.PredictionService/Nothing")
    assert refusal(call, b"")[0] == "UNIMPLEMENTED"
