"""What tests of the REST interface have in common."""

import base64
import contextlib
from collections.abc import Iterator
from typing import Any

import httpx

from serving.adapter.limits import Limits
from tests.unit.adapter.fakes import FakeModelServer, adapter

PNG = {"Content-Type": "image/png"}


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of a response that has to be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert {"type", "title", "detail"} <= document.keys()
    return document


def classified(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def whole(answer: bytes) -> bool:
    """Whether the bytes are an answer of HTTP to its end."""
    head, found, body = answer.partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and length) and len(body) >= int(length[0].split(b":")[1])


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextlib.contextmanager
def served(model_server: FakeModelServer, limits: Limits) -> Iterator[httpx.Client]:
    """A client of an adapter with limits of its own."""
    with (
        adapter(f"127.0.0.1:{model_server.port}", limits) as it,
        httpx.Client(base_url=it.http, trust_env=False) as client,
    ):
        yield client
