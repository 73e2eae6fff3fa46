"""The REST API of a running server, row by row."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

from tests.integration.model_server.servers import Server

M = "/v1/models/half_plus_two/versions/123"
DEEP = 500_000


def post(server: Server, path: str, body: object) -> httpx.Response:
    """A POST of JSON (or of bytes as they are)."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.http.post(path, content=content)


def error(response: httpx.Response) -> tuple[int, str]:
    """(status, message) of a refusal, which must be JSON."""
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", "/v1/foo", "Malformed request: GET /v1/foo"),
        ("POST", "/v1/foo", "Malformed request: POST /v1/foo"),
        ("GET", "/v1/models", "Missing model name in request."),
        ("GET", "/v1/models/versions/1", "Missing model name in request."),
        ("GET", "/v1/models/", "Malformed request: GET /v1/models/"),
        ("POST", "/v1/models/m:predict?a=b", "Malformed request: POST /v1/models/m:predict?a=b"),
        ("POST", "/v1/models", "Malformed request"),
        ("GET", "/v1/models/foo:predict", "Malformed request"),
        ("POST", "/v1/models/foo/versions/HELLO:regress", "Malformed request"),
        ("POST", "/v1/models/foo/versions/some_label:regress", "Malformed request"),
        (
            "POST",
            "/v1/models/foo/versions/18446744073709551615:regress",
            "Failed to convert version: 18446744073709551615 to numeric.",
        ),
        ("POST", "/v1/models/foo/label/some_label:regress", "Malformed request"),
        ("POST", "/v1/models/foo/versions/50/labels/some_label:regress", "Malformed request"),
        ("POST", "/v1/models/half_plus_two:PREDICT", "Malformed request"),
        ("PUT", "/v1/models/half_plus_two", "Malformed request: PUT /v1/models/half_plus_two"),
        ("DELETE", "/v1/models/half_plus_two", "Malformed request: DELETE"),
    ],
)
def test_paths_that_mean_nothing_are_malformed(server: Server, method: str, path: str, text: str) -> None:
    status, message = error(server.http.request(method, path))
    assert status == 400
    assert text in message


def test_what_is_no_path_of_the_api_is_not_found(server: Server) -> None:
    for path in ("/", "/v2/health/ready", "/v1", "/monitoring/prometheus/metrics/more"):
        assert server.http.get(path).status_code == 404
    metrics = "/monitoring/prometheus/metrics"
    assert server.http.get(metrics).status_code == server.http.post(metrics).status_code == 200
    assert server.http.get(f"{metrics}?a=x").text == f"Unexpected path: {metrics}?a=x. Should be {metrics}"


def test_an_escaped_slash_is_part_of_a_name(server: Server) -> None:
    refused = server.http.get("/v1/models/a%2Fversions%2F1")
    assert error(refused) == (404, "Could not find any versions of model a/versions/1")
    assert server.http.get("/v1/models/half%5Fplus_two/labels/st%61ble").status_code == 200


def test_a_request_from_a_page_may_be_asked_about_beforehand(server: Server) -> None:
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    assert server.http.options(f"{M}:predict", headers=asked).status_code == 200


def test_a_connection_serves_many_requests(server: Server) -> None:
    for _ in range(3):
        assert "connection" not in server.http.get(M).headers


def test_an_answer_does_not_tell_what_serves_it(server: Server) -> None:
    for path in (M, "/v1/models/foo", "/"):
        assert server.http.get(path).headers.keys() == {"content-type", "content-length", "date"}


def test_booleans_are_whole_numbers_as_features(server: Server) -> None:
    for value, kind in ((None, "Null"), ({"a": 1}, "Object"), ([[1]], "Array")):
        body = {"signature_name": "regress_x_to_y", "examples": [{"x": value}]}
        status, message = error(post(server, f"{M}:regress", body))
        assert (status, message.endswith(f"has element with unexpected JSON type: {kind}")) == (400, True)
    refused = {"signature_name": "regress_x_to_y", "examples": [{"x": [1.0, True]}]}
    assert "expecting type: float" in error(post(server, f"{M}:regress", refused))[1]
    mixed = {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0, "more": [True, 1]}]}
    assert post(server, f"{M}:regress", mixed).json() == {"results": [2.5]}
    assert "must be JSON object but got JSON Number" in error(post(server, f"{M}:regress", {"examples": [1]}))[1]


def test_status(server: Server) -> None:
    row = {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert server.http.get(M).json() == {"model_version_status": [row]}
    assert server.states("half_plus_two") == {123: "AVAILABLE", 124: "AVAILABLE"}
    assert server.http.get("/V1/Models/half_plus_two").status_code == 200
    assert error(server.http.get("/v1/models/foo")) == (404, "Could not find any versions of model foo")
    assert error(server.http.get("/v1/models/half_plus_two/versions/99")) == (
        404,
        "Could not find version 99 of model half_plus_two",
    )


def test_metadata(server: Server) -> None:
    answer = server.http.get(f"{M}/metadata").json()
    assert answer["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "123"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
        "unknown_rank": False,
    }
    assert signature["defaults"] == {}
    assert error(server.http.get("/v1/models/foo/metadata")) == (404, "Servable not found for request: Latest(foo)")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"instances": [[1.0, 2.0], [3.0, 4.0]]}, {"predictions": [[2.5, 3.0], [3.5, 4.0]]}),
        ({"signature_name": "serving_default", "instances": [3.0, 4.0]}, {"predictions": [3.5, 4.0]}),
        ({"signature_name": "serving_default", "inputs": [3.0, 4.0]}, {"outputs": [3.5, 4.0]}),
        ({"instances": [{"x": [2]}, {"x": [4]}]}, {"predictions": [[3.0], [4.0]]}),
        ({"inputs": {"x": [[2]], "unknown": 1}}, {"outputs": [[3.0]]}),
        ({"signature_name": "two_outputs", "instances": [2]}, {"predictions": [{"y": 3.0, "y2": 4.0}]}),
        ({"signature_name": "two_outputs", "inputs": 2}, {"outputs": {"y": 3.0, "y2": 4.0}}),
        ({"instances": list(range(100))}, {"predictions": [x / 2 + 2 for x in range(100)]}),
    ],
)
def test_predict(server: Server, body: object, answer: object) -> None:
    response = post(server, f"{M}:predict", body)
    assert (response.status_code, response.json()) == (200, answer)
    assert response.headers["content-type"] == "application/json"


def test_predict_by_label_and_latest(server: Server) -> None:
    for target, value in {"": 4.0, "/labels/stable": 3.0, "/labels/canary": 4.0}.items():
        path = f"/v1/models/half_plus_two{target}:predict"
        assert post(server, path, {"instances": [2.0]}).json() == {"predictions": [value]}


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("foo/versions/50", {"instances": [1]}, 404, "Servable not found for request: Specific(foo, 50)"),
        ("foo/versions/50", b"{", 400, "JSON Parse error: Missing a name for object member. at offset: 1"),
        ("half_plus_two", b"", 400, "JSON Parse error: The document is empty"),
        (
            "half_plus_two",
            {"instances": ["x", "y"]},
            400,
            'JSON Value: "x" Type: String is not of expected type: float',
        ),
        ("half_plus_two/labels/Nothing", {"instances": ["x"]}, 400, "Unrecognized servable version label: Nothing"),
        (
            "half_plus_two",
            {"signature_name": "x", "instances": [1]},
            400,
            'Serving signature name: "x" not found in signature def',
        ),
        (
            "half_plus_two",
            {"signature_name": 5, "instances": [1]},
            400,
            'JSON Value: {\n    "signature_name": 5,\n    "instances": [1]\n} not formatted correctly. '
            "'signature_name' key must be a string value.",
        ),
        (
            "half_plus_two",
            {"instances": [1], "inputs": [1]},
            400,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        ("half_plus_two", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("half_plus_two", {"instances": 1}, 400, "Expecting 'instances' to be an list/array"),
        ("half_plus_two", {"instances": []}, 400, "No values in 'instances' array"),
        ("half_plus_two", [1, "a"], 400, 'JSON Value: [1, "a"] Is not object'),
        ("half_plus_two", b'{"instances": [foo]}', 400, "JSON Parse error: Invalid value. at offset: 15"),
        (
            "half_plus_two",
            {"instances": [[1, 2], [3, 4], [5, 6, 7]]},
            400,
            "Failed to process element: 2 of 'instances' list. "
            "Error: INVALID_ARGUMENT: Expecting tensor size: 2 but got: 3",
        ),
        ("half_plus_two", {"instances": [[1, 2], [[5, 6]]]}, 400, "Expecting shape [2] but got: [1,2]"),
        ("half_plus_two", {"instances": [1, [1]]}, 400, "Expecting shape [] but got: [1]"),
        ("half_plus_two", {"instances": [1, True] + [1] * 30}, 400, "is not of expected type: float"),
        ("half_plus_two", {"instances": [{"x": 1}, [1]]}, 400, "Expecting object but got list at item 1 of input list"),
        ("half_plus_two", {"instances": [[1], {"x": 1}]}, 400, "Expecting value/list but got object at item 1 of"),
        (
            "half_plus_two",
            {"instances": [{"y": 1}]},
            400,
            "Failed to process element: 0 key: y of 'instances' list. "
            "Error: INVALID_ARGUMENT: JSON object: does not have named input: y",
        ),
        ("half_plus_two", {"instances": [{}]}, 400, "list. JSON object: {} keys must be equal to: x"),
        ("half_plus_two", {"inputs": {"y": 1}}, 400, "Missing named input: x in 'inputs' object."),
        ("echo", {"inputs": {"b64": "!"}}, 400, "Unable to base64 decode"),
        ("echo", {"signature_name": "halves", "inputs": [1.0]}, 501, "Conversion of JSON Value: 1.0 to type: half"),
        ("echo", {"signature_name": "halves", "instances": [1.0]}, 400, "UNIMPLEMENTED"),
        (
            "echo",
            {"signature_name": "pairs", "instances": [1.0]},
            400,
            "Failed to write JSON value for tensor type: complex64",
        ),
        (
            "echo",
            {"signature_name": "numbers", "inputs": {"a": [], "b": [1]}},
            200,
            "",
        ),
    ],
)
def test_refusals_have_the_status_and_the_words_of_the_original(
    server: Server, path: str, body: object, status: int, text: str
) -> None:
    response = post(server, f"/v1/models/{path}:predict", body)
    assert response.status_code == status
    assert status == 200 or text in response.json()["error"]


def test_outputs_of_different_batch_size_have_no_row_form(server: Server) -> None:
    body = {"signature_name": "numbers", "instances": [{"a": [1.0], "b": [2]}]}
    assert post(server, "/v1/models/echo:predict", body).json() == {"predictions": [{"a": [1.0], "b": [2]}]}
    columns = {"signature_name": "numbers", "inputs": {"a": [1.0, 2.0], "b": [[3], [4], [5]]}}
    assert post(server, "/v1/models/echo:predict", columns).json() == {
        "outputs": {"a": [1.0, 2.0], "b": [[3], [4], [5]]}
    }


def test_strings_come_back_as_text_or_as_base64_by_their_name(server: Server) -> None:
    body = {"instances": [{"b64": "aGVsbG8="}, 'qu"ote ü']}
    assert post(server, "/v1/models/echo:predict", body).json() == {
        "predictions": [
            {"text": "hello", "text_bytes": {"b64": "aGVsbG8="}},
            {"text": 'qu"ote ü', "text_bytes": {"b64": "cXUib3RlIMO8"}},
        ]
    }
    scalar = post(server, "/v1/models/echo:predict", {"inputs": {"b64": "aGVsbG8="}}).json()
    assert scalar == {"outputs": {"text": "hello", "text_bytes": {"b64": "aGVsbG8="}}}


def test_json_nested_half_a_million_deep_is_ignored_or_refused(server: Server) -> None:
    deep = b"[" * DEEP + b"]" * DEEP
    response = post(server, f"{M}:predict", b'{"more": %s, "instances": [2.0]}' % deep)
    assert response.json() == {"predictions": [3.0]}
    status, message = error(post(server, f"{M}:predict", b'{"signature_name": %s, "instances": [2.0]}' % deep))
    assert (status, "key must be a string value" in message) == (400, True)
    assert error(post(server, f"{M}:predict", b'{"instances": %s}' % deep))[0] == 400
    assert error(post(server, f"{M}:predict", b"[" * DEEP))[0] == 400


def test_gzip_bodies(server: Server) -> None:
    values = [float(x) for x in range(300_000)]
    body = gzip.compress(json.dumps({"instances": values}).encode())
    response = server.http.post(f"{M}:predict", content=body, headers={"Content-Encoding": "gzip"})
    assert response.json()["predictions"] == [x * 0.5 + 2 for x in values]
    broken = server.http.post(f"{M}:predict", content=body[:1000], headers={"Content-Encoding": "gzip"})
    assert error(broken)[0] == 400


def test_a_gzip_bomb_is_refused(server: Server) -> None:
    bomb = gzip.compress(b" " * (101 * 2**20))
    response = server.http.post(f"{M}:predict", content=bomb, headers={"Content-Encoding": "gzip"})
    assert response.status_code == 413
    assert post(server, f"{M}:predict", {"instances": [2.0]}).status_code == 200


@pytest.mark.parametrize("target", ["/versions/123", "/labels/stable"])
def test_regress_and_classify(server: Server, target: str) -> None:
    path = f"/v1/models/half_plus_two{target}"
    regress = post(server, f"{path}:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 80.0}]})
    assert regress.text.replace(" ", "") == '{"results":[42.0]}'
    mistyped = {"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}
    assert post(server, f"{path}:regress", mistyped).json() == {"results": [2.5, 3.0]}
    classify = post(server, f"{path}:classify", {"signature_name": "classify_x_to_y", "examples": [{"x": [2.0]}]})
    assert classify.json() == {"results": [[["", 3.0]]]}
    body = {"signature_name": "regress_x_to_y", "context": {"x": 2.0}, "examples": [{}, {"x": 4.0}]}
    assert post(server, f"{path}:regress", body).json() == {"results": [3.0, 4.0]}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"signature_name": 3, "examples": [{}]}, "'signature_name' key must be a string"),
        ({"examples": 3}, "} Expecting 'examples' value to be an list/array"),
        ({}, "key 'examples' is expected and was not found"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [{"names": [10, 10.0]}]}, "feature: names expecting type: int64"),
        ({"examples": [{"names": [20, 18446744073709551603]}]}, "Only int64_t is supported"),
        ({"signature_name": "x", "examples": [{"x": 1.0}]}, "No signature was found with the name: x"),
        ({"signature_name": "classify_x_to_y", "examples": [{"x": 1.0}]}, "regression"),
    ],
)
def test_examples_that_are_refused(server: Server, body: object, text: str) -> None:
    status, message = error(post(server, f"{M}:regress", body))
    assert (status, text in message) == (400, True), message
