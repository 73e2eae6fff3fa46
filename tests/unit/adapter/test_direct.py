"""POST /v1/classify without a query goes past FastAPI, and nobody can tell."""

import base64

import httpx
import pytest

from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG

ENCODED = base64.b64encode(gray(9)).decode()
# Its addresses: the first goes straight to the handler, the others through FastAPI.
DIRECT, ROUNDABOUT = "/v1/classify", ("/v1/classify?version=1", "/v1/classify?x", "/v1/models/chest-xray/classify")


@pytest.mark.parametrize(
    "body",
    [
        {"content": gray(77), "headers": PNG},
        {"content": b"no image", "headers": PNG},
        {"content": b"", "headers": PNG},
        {"content": b"x", "headers": {"Content-Type": "text/plain"}},
        {"content": b"x", "headers": {**PNG, "Content-Encoding": "br"}},
        {"json": {"image": ENCODED}},
        {"json": {"images": [ENCODED, "AAAA"]}},
        {"json": {"pictures": []}},
        {"files": [("images", ("ä.png", gray(3))), ("images", ("b.png", b"bad"))]},
    ],
)
def test_answers_are_the_same_to_the_byte(rest, body):
    rest.headers["X-Request-Id"] = "mine"
    direct = rest.post(DIRECT, **body)
    for address in ROUNDABOUT:
        other = rest.post(address, **body)
        assert (other.status_code, other.content) == (direct.status_code, direct.content)
        unlike = {"date"}
        assert [pair for pair in other.headers.items() if pair[0] not in unlike] == [
            pair for pair in direct.headers.items() if pair[0] not in unlike
        ]


def test_model_that_is_gone_is_told_alike(rest, model_server):
    rest.headers["X-Request-Id"] = "mine"
    model_server.labels.clear()
    model_server.versions.clear()
    direct, other = (rest.post(address, content=gray(1), headers=PNG) for address in (DIRECT, ROUNDABOUT[1]))
    assert (direct.status_code, direct.content) == (other.status_code, other.content)
    assert direct.status_code == 503


def test_a_fault_of_our_own_is_told_alike(served, monkeypatch):
    monkeypatch.setattr("serving.adapter.rest_api.result", lambda *_: 1 / 0)
    headers = {"X-Request-Id": "mine", **PNG}
    # Each on a connection of its own: the server closes one on which it failed.
    direct, other = (
        httpx.post(f"{served.http}{address}", content=gray(1), headers=headers, trust_env=False)
        for address in (DIRECT, ROUNDABOUT[1])
    )
    assert (direct.status_code, direct.content) == (other.status_code, other.content)
    assert direct.status_code == 500
