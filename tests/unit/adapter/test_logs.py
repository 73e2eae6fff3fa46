"""Requests have names, and what is logged of them can be read by machines and shows nobody's picture."""

import base64
import json
import logging

import grpc
import httpx
import pytest

from serving.adapter import logs
from tests.unit.adapter.fakes import adapter, fail
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG, problem
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep


@pytest.fixture
def as_json(capsys):
    """Logs as JSON with a line for each request; gives what has been written."""
    root = logging.getLogger()
    before = (root.level, root.handlers[:])

    def lines(form=logs.Format.JSON, requests=True):
        logs.configure(form, requests)
        return lambda: capsys.readouterr().err

    yield lines
    logs.configure(logs.Format.TEXT, False)
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def test_an_answer_says_the_name_that_the_request_gave_and_a_new_one_where_it_is_not_fit(rest):
    for path, sent in (("/v1/classify", gray(7)), ("/v1/classify", b"none"), ("/v2/models/chest-xray/infer", b"{}")):
        answer = rest.post(path, content=sent, headers={"X-Request-Id": "a.b-1/2", **PNG})
        assert answer.headers["x-request-id"] == "a.b-1/2"
    made = set()
    for told in (None, "", "?", "x" * 129, 'a"b', "a b", "é".encode(), "-a"):
        headers = [] if told is None else [("X-Request-Id", told)]
        made.add(rest.get("/v1/model", headers=headers).headers["x-request-id"])
    assert len(made) == 8 and all(len(name) == 32 and int(name, 16) for name in made)
    assert "x-request-id" not in rest.get("/livez").headers


def test_problems_name_their_request_those_of_a_refused_caller_too(rest):
    headers = {"X-Request-Id": "mine"}
    assert problem(rest.post("/v1/classify", content=b"x", headers=headers | PNG), 422)["request_id"] == "mine"
    assert problem(rest.get("/v1/models/other", headers=headers), 404)["request_id"] == "mine"
    assert problem(rest.get("/nothing", headers=headers), 404)["request_id"] == "mine"
    refused = rest.get("/v1/model", headers=headers | {"Host": "elsewhere.example"})
    assert problem(refused, 421)["request_id"] == refused.headers["x-request-id"] == "mine"


def test_a_call_over_grpc_ends_with_its_name(served):
    with grpc.insecure_channel(served.grpc) as channel:
        ask = channel.unary_unary(
            "/trainyard.v1.Classifier/Classify", request_serializer=api.ClassifyRequest.SerializeToString
        )
        metadata = (("x-request-id", "mine"),)
        _, call = ask.with_call(api.ClassifyRequest(image=gray(7)), metadata=metadata)
        assert dict(call.trailing_metadata())["x-request-id"] == "mine"
        for sent in (api.ClassifyRequest(image=b"none"), api.ClassifyRequest()):
            with pytest.raises(grpc.RpcError) as raised:
                ask(sent, metadata=metadata)
            assert dict(raised.value.trailing_metadata())["x-request-id"] == "mine"
        _, call = ask.with_call(api.ClassifyRequest(image=gray(7)))
        assert len(dict(call.trailing_metadata())["x-request-id"]) == 32


def test_each_request_is_an_object_with_its_name_and_no_line_holds_a_picture(model_server, as_json):
    written = as_json()
    image = gray(7, size=64)
    quoted = base64.b64encode(image).decode()
    with adapter(f"127.0.0.1:{model_server.port}") as it, httpx.Client(base_url=it.http) as client:
        headers = {"X-Request-Id": "mine-1"}
        client.post("/v1/classify", content=image, headers=headers | PNG)
        client.post("/v1/classify", json={"image": quoted}, headers={"X-Request-Id": "mine-2"})
        client.post("/v1/classify", json={"image": [quoted]}, headers={"X-Request-Id": "mine-3"})
        model_server.before = fail(grpc.StatusCode.INTERNAL, f"Node failed on {quoted}")
        client.post("/v1/classify", content=image, headers={"X-Request-Id": "mine-4", **PNG})
    text = written()
    lines = [json.loads(line) for line in text.splitlines()]
    requests = {one["request_id"]: one for one in lines if one["logger"] == logs.REQUESTS}
    assert {name: one["code"] for name, one in requests.items()} == {
        "mine-1": "OK",
        "mine-2": "OK",
        "mine-3": "INVALID_ARGUMENT",
        "mine-4": "INTERNAL",
    }
    one = requests["mine-1"]
    assert (one["severity"], one["method"], one["version"]) == ("INFO", "POST /v1/classify", "1")
    assert one["milliseconds"] > 0 and one["time"].endswith("+00:00")
    (failed,) = [one for one in lines if one["severity"] == "ERROR"]
    assert failed["request_id"] == "mine-4" and "Node failed" in failed["message"]
    assert quoted[:40] not in text and quoted[40:80] not in text
    assert any(one["message"].startswith("Serving version") for one in lines)


def test_a_mistake_of_ours_is_an_object_too_without_what_it_quotes(as_json):
    written = as_json()
    try:
        raise ValueError(f"can't read {base64.b64encode(bytes(range(99))).decode()}")
    except ValueError:
        logging.getLogger("x").exception("A request failed")
    (line,) = [json.loads(line) for line in written().splitlines()]
    assert line["error"]["type"] == "ValueError" and line["error"]["message"] == "can't read …"
    assert "test_logs.py" in line["error"]["at"][0]


def test_text_is_as_it_was_but_for_the_name_of_the_request_and_silent_about_requests(model_server, as_json):
    written = as_json(logs.Format.TEXT, False)
    logging.getLogger("serving.adapter.tls").warning("It can't be read")
    (line,) = written().splitlines()
    assert line.endswith(" WARNING serving.adapter.tls: It can't be read")
    model_server.before = fail(grpc.StatusCode.INTERNAL, "Node failed")
    with adapter(f"127.0.0.1:{model_server.port}") as it:
        httpx.get(f"{it.http}/v1/model", headers={"X-Request-Id": "mine"})
    told = [line for line in written().splitlines() if "[request mine]" in line]
    said = "ERROR serving.adapter.backend: The model server answered StatusCode.INTERNAL: Node failed [request mine]"
    assert told and all(line.endswith(said) for line in told)
