"""HTTP in front of an API that a test stands in for."""

from __future__ import annotations

import gzip
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from serving.model_server import http_connection, http_server
from serving.model_server.metrics import Metrics
from serving.model_server.rest import RestApi

Start = Callable[..., httpx.Client]


class Api(RestApi):
    """Answers with what it was asked; waits when asked for /wait."""

    def __init__(self) -> None:
        super().__init__(None, Metrics())  # type: ignore[arg-type]
        self.gate = threading.Event()

    def handle(self, method: str, path: str, body: list[bytes]) -> tuple[int, bytes | list[bytes]]:
        """Method, path and size of the body; for /v1/large as many bytes as it has, in parts."""
        if path == "/v1/large":
            return 200, body
        if path == "/v1/wait":
            self.gate.wait(20)
        return 200, json.dumps([method, path, sum(map(len, body))]).encode()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server with the given options and returns a client for it."""
    api, running = Api(), []

    def starting(**options: object) -> httpx.Client:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        settings = {"threads": 2, "timeout_seconds": 20, **options}
        server = http_server.HttpServer(api, listener, **settings)  # type: ignore[arg-type]
        server.start()
        client = httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", trust_env=False)
        running.append((server, client))
        return client

    yield starting
    api.gate.set()
    for server, client in running:
        client.close()
        server.drain(5)


def test_a_request_that_takes_too_long_is_cut_off(start: Start) -> None:
    answer = start(timeout_seconds=0.1).get("/v1/wait")
    assert (answer.status_code, "error" in answer.json()) == (504, True)


def test_a_body_up_to_the_limit_is_read_and_no_larger_one(start: Start) -> None:
    client = start(most_bytes=1000)
    assert client.post("/v1/x", content=b"a" * 1000).json() == ["POST", "/v1/x", 1000]
    assert client.post("/v1/x", content=b"a" * 1001).status_code == 413
    assert client.post("/v1/x", content=iter([b"a" * 600, b"a" * 600])).status_code == 413
    assert client.get("/v1/x").json() == ["GET", "/v1/x", 0]


def test_what_is_large_comes_and_goes_in_parts(start: Start) -> None:
    client = start()
    text = random.Random(0).randbytes(3 * 2**20)
    assert client.post("/v1/large", content=text).content == text
    # Out of gzip as well, where one part that arrives becomes many.
    packed = gzip.compress(text + bytes(2**23))
    for sent in (packed, iter([packed[:70_000], packed[70_000:-4], packed[-4:]])):
        assert client.post("/v1/large", content=sent, headers={"Content-Encoding": "gzip"}).content == text + bytes(
            2**23
        )
    assert client.get("/v1/x", headers={"Content-Encoding": "gzip"}).json() == ["GET", "/v1/x", 0]
    assert client.head("/v1/large").headers["content-length"] == "0"


def test_what_is_no_path_of_the_api_is_not_found(start: Start) -> None:
    client = start(pages={"/metrics": lambda: b"# TYPE x counter\n"})
    for path in ("/", "/v2/models", "/favicon.ico", "/metrics/x", "/%6detrics"):
        assert (client.get(path).status_code, client.post(path).status_code) == (404, 404)
    refused = client.get("/metrics?x=1")
    assert (refused.status_code, refused.text) == (400, "Unexpected path: /metrics?x=1. Should be /metrics")


def test_a_query_is_part_of_the_path(start: Start) -> None:
    assert start().get("/v1/models/m?x=1&y").json()[1] == "/v1/models/m?x=1&y"


def test_without_a_limit_a_request_may_take_its_time(start: Start) -> None:
    for seconds in (0, -1):
        assert start(timeout_seconds=seconds).get("/v1/x").status_code == 200


def test_other_sites_may_ask_only_when_allowed(start: Start) -> None:
    assert "access-control-allow-origin" not in start().get("/v1/x").headers
    headers = start(cors=True).get("/v1/x").headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-allow-methods"] == "POST, GET"


@pytest.mark.parametrize("cors", [True, False])
def test_a_browser_may_ask_whether_it_may(start: Start, cors: bool) -> None:
    client = start(cors=cors)
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    answer = client.options("/v1/models/m:predict", headers=asked)
    assert (answer.status_code, answer.content) == (200, b"")
    allowed = {name: value for name, value in answer.headers.items() if name.startswith("access-control")}
    expected = {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "POST, GET",
        "access-control-allow-headers": "Content-Type",
    }
    assert allowed == (expected if cors else {})
    for headers in ({}, {"Origin": "null"}):
        refused = client.options("/v1/models/m:predict", headers=headers)
        assert (refused.status_code, "CORS preflight" in refused.json()["error"]) == (400, True)


def test_connections_outlive_those_of_load_balancers() -> None:
    api = http_server.HttpServer(Api(), socket.socket(), 1, 1)  # type: ignore[arg-type]
    assert api._server.config.timeout_keep_alive > 600


@pytest.mark.parametrize("said", [b"", b"POST /v1/mod", b"GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\nGET /v1/y"])
def test_who_does_not_finish_a_head_is_not_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.2)
    base = start().base_url
    with socket.create_connection((base.host, base.port), timeout=20) as client:
        client.sendall(said)
        while client.recv(1000):  # until the server closes it; the timeout fails the test
            pass


def test_a_head_without_end_is_not_read_to_its_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "MAX_HEAD_BYTES", 1000)
    base = start().base_url
    with socket.create_connection((base.host, base.port), timeout=20) as client:
        client.sendall(b"GET /v1/x HTTP/1.1\r\nx: " + b"a" * 2000)
        assert client.recv(1000) == b""


def test_a_body_that_does_not_come_is_not_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "BODY_SECONDS", 0.2)
    base = start().base_url
    with socket.create_connection((base.host, base.port), timeout=20) as client:
        client.sendall(b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_models_that_are_waited_for_do_not_keep_status_waiting(start: Start) -> None:
    client = start(threads=2, timeout_seconds=0.3)
    for _ in range(4):
        assert client.post("/v1/wait").status_code == 504
    assert client.get("/v1/models/m").json() == ["GET", "/v1/models/m", 0]


def test_pages_are_plain_text_whatever_the_method(start: Start) -> None:
    client = start(pages={"/metrics": lambda: b"# TYPE x counter\n"})
    for method in ("GET", "POST", "PUT"):
        answer = client.request(method, "/metrics")
        assert (answer.text, answer.headers["content-type"]) == ("# TYPE x counter\n", "text/plain")


def test_a_path_is_routed_as_it_was_sent(start: Start) -> None:
    assert start().get("/v1/models/a%2Fb").json()[1] == "/v1/models/a%2Fb"
