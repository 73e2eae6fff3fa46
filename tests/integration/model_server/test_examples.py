"""Classify, Regress and MultiInference over gRPC, against a running server."""

from __future__ import annotations

import pytest
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, model_pb2, regression_pb2

from tests.integration.model_server.requests import refusal
from tests.integration.model_server.servers import Server

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def spec(signature: str) -> model_pb2.ModelSpec:
    """Version 123 of the model that halves and adds two."""
    asked = model_pb2.ModelSpec(name="half_plus_two", signature_name=signature)
    asked.version.value = 123
    return asked


def example(**features: float) -> example_pb2.Example:
    """An example of float features."""
    made = example_pb2.Example()
    for name, value in features.items():
        made.features.feature[name].float_list.value.append(value)
    return made


def given(*examples: example_pb2.Example) -> input_pb2.Input:
    """A plain list of examples."""
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=examples))


def test_classify(server: Server) -> None:
    request = classification_pb2.ClassificationRequest(model_spec=spec("classify_x_to_y"), input=given(example(x=2.0)))
    answer = server.predictions.Classify(request, timeout=20)
    (row,) = answer.result.classifications
    assert [(item.label, item.score) for item in row.classes] == [("", 3.0)]
    assert answer.model_spec == spec("classify_x_to_y")


def test_regress(server: Server) -> None:
    request = regression_pb2.RegressionRequest(
        model_spec=spec("regress_x_to_y"), input=given(example(x=2.0), example(x=4.0))
    )
    answer = server.predictions.Regress(request, timeout=20)
    assert [row.value for row in answer.result.regressions] == [3.0, 4.0]
    assert answer.model_spec == spec("regress_x_to_y")


def test_context_features_count_where_the_example_has_none_of_its_own(server: Server) -> None:
    both = input_pb2.Input()
    both.example_list_with_context.context.CopyFrom(example(x=2.0))
    both.example_list_with_context.examples.extend([example(), example(x=4.0)])
    request = regression_pb2.RegressionRequest(model_spec=spec("regress_x_to_y"), input=both)
    assert [row.value for row in server.predictions.Regress(request, timeout=20).result.regressions] == [3.0, 4.0]


def test_no_examples_are_refused(server: Server) -> None:
    context_only = input_pb2.Input()
    context_only.example_list_with_context.context.CopyFrom(example(x=2.0))
    for empty in (input_pb2.Input(), given(), context_only):
        request = regression_pb2.RegressionRequest(model_spec=spec("regress_x_to_y"), input=empty)
        assert refusal(server.predictions.Regress, request) == ("INVALID_ARGUMENT", "Input is empty.")


@pytest.mark.parametrize(("signature", "text"), [("x", "No signature was found"), ("regress_x_to_y", "classification")])
def test_signatures_that_do_not_classify_are_refused(server: Server, signature: str, text: str) -> None:
    request = classification_pb2.ClassificationRequest(model_spec=spec(signature), input=given(example(x=2.0)))
    code, message = refusal(server.predictions.Classify, request)
    assert (code, text in message) == ("INVALID_ARGUMENT", True), message


def test_an_example_without_its_feature_is_refused(server: Server) -> None:
    request = regression_pb2.RegressionRequest(model_spec=spec("regress_x_to_y"), input=given(example(z=1.0)))
    assert refusal(server.predictions.Regress, request)[0] == "INVALID_ARGUMENT"


def multi(*tasks: tuple[str, str], x: float = 2.0) -> inference_pb2.MultiInferenceRequest:
    """A request of (signature, method) tasks."""
    request = inference_pb2.MultiInferenceRequest(input=given(example(x=x)))
    for signature, method in tasks:
        request.tasks.add(model_spec=spec(signature), method_name=method)
    return request


def test_multi_inference_answers_in_the_order_of_its_tasks(server: Server) -> None:
    request = multi(("regress_x_to_y", REGRESS), ("classify_x_to_y", CLASSIFY), ("regress_x_to_y2", REGRESS))
    results = server.predictions.MultiInference(request, timeout=20).results
    assert results[0].regression_result.regressions[0].value == 3.0
    assert results[1].classification_result.classifications[0].classes[0].score == 3.0
    assert results[2].regression_result.regressions[0].value == 4.0
    assert [result.model_spec for result in results] == [task.model_spec for task in request.tasks]


def test_multi_inference_refusals(server: Server) -> None:
    two_models = multi(("regress_x_to_y", REGRESS), ("classify_x_to_y", CLASSIFY))
    two_models.tasks[1].model_spec.name = "echo"
    nameless = multi(("regress_x_to_y", REGRESS), ("classify_x_to_y", CLASSIFY))
    nameless.tasks[1].model_spec.name = ""
    # Every task is looked at before the first is run, which would fail here.
    second = multi(("regress_x_to_y", REGRESS), ("classify_x_to_y", "x"))
    second.input.Clear()
    rows = [
        (second, "UNIMPLEMENTED", "Unsupported signature method_name: x"),
        (multi(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (multi(("x", REGRESS)), "INVALID_ARGUMENT", "signature not found"),
        (multi(("serving_default", "tensorflow/serving/predict")), "UNIMPLEMENTED", "Unsupported signature"),
        (two_models, "INVALID_ARGUMENT", "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
        (nameless, "INVALID_ARGUMENT", "Found ModelSpec with an empty model name."),
        (
            multi(("regress_x_to_y", REGRESS), ("regress_x_to_y", CLASSIFY)),
            "INVALID_ARGUMENT",
            "Duplicate evaluation of",
        ),
    ]
    for request, code, text in rows:
        refused, message = refusal(server.predictions.MultiInference, request)
        assert (refused, text in message) == (code, True), message
