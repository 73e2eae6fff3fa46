"""Whatever a client sends, it gets a refusal that says nothing of the server's insides, and the server goes on."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.model_server.requests import refusal, request
from tests.integration.model_server.servers import Server, eventually

M = "/v1/models/half_plus_two/versions/123"
INSIDES = re.compile(r"Traceback|\b[A-Z]\w+(Error|Exception)\b|\.py\b|Internal error")
CORPUS = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def told(server: Server, path: str, body: bytes) -> int:
    """The status of a POST; the text must be fit for strangers."""
    answer = server.http.post(path, content=body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.status_code < 500, answer.text
    if answer.status_code != 200:
        assert not INSIDES.search(answer.json()["error"]), answer.text
    return answer.status_code


def called(server: Server, method: str, data: bytes) -> str:
    """The code of a call with a message of these bytes."""
    call = server.channel.unary_unary(f"/tensorflow.serving.{method}", None, None)
    try:
        call(data, timeout=20)
    except grpc.RpcError as error:
        assert not INSIDES.search(error.details() or ""), error.details()
        return str(error.code().name)
    return "OK"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=8), st.just({"b64": "%"})),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["x", "inputs", "instances", "b64", "\ud800", ""]), inner, max_size=3),
    ),
    max_leaves=8,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.one_of(JSON, st.sampled_from(["serving_default", "two_outputs", "classify_x_to_y"])),
        "instances": JSON,
        "inputs": JSON,
        "examples": st.one_of(JSON, st.lists(st.dictionaries(st.just("x"), JSON, max_size=1), max_size=2)),
        "context": JSON,
    },
)


@CORPUS
@given(BODIES, st.sampled_from(["predict", "classify", "regress"]), st.sampled_from(["half_plus_two", "echo"]))
def test_bodies(server: Server, body: object, verb: str, model: str) -> None:
    import json

    told(server, f"/v1/models/{model}:{verb}", json.dumps(body).encode())


@CORPUS
@given(st.binary(max_size=40), st.sampled_from(["predict", "classify"]))
def test_bodies_of_bytes(server: Server, body: bytes, verb: str) -> None:
    told(server, f"{M}:{verb}", body)
    told(server, f"{M}:{verb}", b'{"instances": [' + body + b"]}")


@pytest.mark.parametrize(
    "body",
    [
        rb'{"instances": ["\ud800"]}', rb'{"signature_name": "\udc00", "instances": [1]}',
        rb'{"examples": [{"\ud800": 1}]}', rb'{"instances": [{"\ud800": 1}]}', rb'{"\udfff": 1, "instances": [1.0]}',
    ],
)  # fmt: skip
def test_half_a_character_is_no_json(server: Server, body: bytes) -> None:
    for verb in ("predict", "classify"):
        answer = server.http.post(f"{M}:{verb}", content=body)
        assert (answer.status_code, "surrogate" in answer.json()["error"]) == (400, True)
    assert server.http.post(f"{M}:predict", content=rb'{"\ud83d\ude00": 1, "instances": [1]}').status_code == 200


METHODS = [
    f"PredictionService/{name}" for name in ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata")
] + ["ModelService/GetModelStatus"]
REFUSALS = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED"}


@CORPUS
@given(st.sampled_from(METHODS), st.binary(max_size=60))
def test_messages_of_bytes(server: Server, method: str, data: bytes) -> None:
    assert called(server, method, data) in REFUSALS


@CORPUS
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    st.integers(0, 140),
    st.lists(st.one_of(st.integers(-2, 4), st.integers(-(2**63), 2**63 - 1)), max_size=5),
    st.binary(max_size=16),
)
def test_tensors(server: Server, damage: list[tuple[int, int]], dtype: int, shape: list[int], content: bytes) -> None:
    message = request(x=[1.0, 2.0])
    tensor = message.inputs["x"]
    tensor.dtype = dtype  # type: ignore[assignment]
    del tensor.tensor_shape.dim[:]
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = content
    data = bytearray(message.SerializeToString())
    for place, byte in damage:
        data[place % len(data)] = byte
    assert called(server, "PredictionService/Predict", bytes(data)) in REFUSALS


def test_a_tensor_of_hundreds_of_dimensions(server: Server) -> None:
    for rank in (65, 255, 300):
        message = request()
        message.inputs["x"].dtype = 1
        message.inputs["x"].float_val.append(1.0)
        for _ in range(rank):
            message.inputs["x"].tensor_shape.dim.add(size=1)
        code, text = refusal(server.predictions.Predict, message)
        assert (code, "tensor parsing error: x" in text) == ("INVALID_ARGUMENT", True)


def test_what_is_no_message_is_refused_as_such(server: Server) -> None:
    call = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict", None, None)
    with pytest.raises(grpc.RpcError) as failure:
        call(b"\xff\xff garbage", timeout=20)
    assert failure.value.code().name == "INVALID_ARGUMENT"
    assert failure.value.details() == "The request is no tensorflow.serving.PredictRequest message."


def slow_runs(server: Server) -> int:
    """How often the slow model has run, from the server's own count."""
    text = server.http.get("/monitoring/prometheus/metrics").text
    found = re.search(r':runtime_latency_count\{model_name="slow",API="Predict",runtime="TF1"\} (\d+)', text)
    return int(found[1]) if found else 0


def test_requests_that_nobody_waits_for_are_not_begun(server: Server) -> None:
    def abandon(_: int) -> str:
        with pytest.raises(grpc.RpcError) as failure:
            server.predictions.Predict(request("slow", x=[1.0]), timeout=0.5)
        return str(failure.value.code().name)

    before = slow_runs(server)
    with ThreadPoolExecutor(40) as pool:
        abandoning = pool.map(abandon, range(40))
        answer = server.predictions.Predict(request(x=[2.0]), timeout=20)
        assert server.states("slow") == {1: "AVAILABLE"}
        assert set(abandoning) <= {"DEADLINE_EXCEEDED", "CANCELLED"}
    assert answer.outputs["y"].float_val[0] == 4.0
    # Its turn comes once those that had begun have run, and no others.
    server.predictions.Predict(request("slow", x=[1.0]), timeout=60)
    assert slow_runs(server) - before < 20


def test_none_of_it_was_a_bug(server: Server) -> None:
    eventually(lambda: server.process.poll() is None)
    assert "Traceback" not in server.log, server.log[-3000:]
