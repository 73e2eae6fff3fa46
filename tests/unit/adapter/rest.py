"""What tests of the REST interface have in common."""

import base64
import contextlib
import socket
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


def exchange(port: int, sent: bytes, close: bool = False) -> bytes:
    """What comes back on a connection of its own until it is closed or the first answer is there."""
    # An answer has to be there within these seconds; ample, as other tests run beside this one.
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        # It may be refused in the middle, and the answer can be read all the same.
        with contextlib.suppress(OSError):
            connection.sendall(sent)
        if close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while not whole(answer) and (more := connection.recv(65536)):
                answer += more
    return answer


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextlib.contextmanager
def served(model_server: FakeModelServer, limits: Limits) -> Iterator[httpx.Client]:
    """A client of an adapter with limits of its own."""
    with (
        adapter(f"127.0.0.1:{model_server.port}", limits) as it,
        httpx.Client(base_url=it.http, trust_env=False, verify=False) as client,
    ):
        yield client
