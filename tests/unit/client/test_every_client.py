"""Blocking and asynchronous, gRPC and REST: the clients answer alike and fail alike."""

import asyncio
import functools
import http.server
import inspect
import socket
import threading
from contextlib import contextmanager

import pytest
from trainyard_client import (
    Access,
    AsyncClient,
    AsyncRestClient,
    BadImage,
    Client,
    ClientError,
    RestClient,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnknownVersion,
    until_serving,
    until_serving_async,
)

from serving.adapter.access import AccessOptions
from serving.adapter.limits import Limits
from tests.unit.adapter.fakes import MODEL, FakeVersion, adapter
from tests.unit.adapter.images import gray, imaging_limits

KINDS = [Client, AsyncClient, RestClient, AsyncRestClient]
REST = [RestClient, AsyncRestClient]
ON_GRPC = {Client, AsyncClient}


def call(kind, address, method, *arguments, **options):
    """What a client of `kind` answers, awaited where it has to be."""

    async def awaited():
        client = kind(address)
        try:
            return await getattr(client, method)(*arguments, **options)
        finally:
            if hasattr(client, "close"):
                await client.close()

    if inspect.iscoroutinefunction(getattr(kind, "func", kind).classify):
        return asyncio.run(awaited())
    return getattr(kind(address), method)(*arguments, **options)


def address_of(kind, served):
    return served.grpc if kind in ON_GRPC else served.http


@contextmanager
def answering(*statuses):
    """An HTTP server that answers with the statuses in turn, the last for good; and the paths it was asked for."""
    asked, left = [], list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            status = left.pop(0) if len(left) > 1 else left[0]
            body = b'{"model": "m", "versions": [], "version_labels": {}, "labels": [], "image_size": 8}'
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body if status == 200 else b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_the_same(served, model_server, kind):
    model_server.versions[2] = FakeVersion()
    address = address_of(kind, served)
    with Client(served.grpc) as client:
        assert call(kind, address, "classify", gray(51), 2) == client.classify(gray(51), 2)
        assert call(kind, address, "classify", gray(51)).version == 1
        assert call(kind, address, "model") == client.model()


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_the_same(served, kind):
    address = address_of(kind, served)
    with pytest.raises(BadImage, match="not an image"):
        call(kind, address, "classify", b"hello")
    for choice in ({"version": 9}, {"version_label": "nightly"}):
        with pytest.raises(UnknownVersion):
            call(kind, address, "classify", gray(1), **choice)
    with pytest.raises(ValueError, match="Expected"):
        call(kind, address, "classify", gray(1), version=1, version_label="stable")


@pytest.mark.parametrize("kind", KINDS)
def test_token_is_shown_to_who_wants_one(model_server, tmp_path, kind):
    (tmp_path / "tokens").write_text("0123456789abcdef\n")
    wants = {"access": AccessOptions(token_file=tmp_path / "tokens")}
    with adapter(f"127.0.0.1:{model_server.port}", **wants) as it:
        address = address_of(kind, it)
        shown = {"access": Access(token="0123456789abcdef")} if kind in ON_GRPC else {"token": "0123456789abcdef"}
        knows = functools.partial(kind, **shown)
        assert call(knows, address, "classify", gray(51)).version == 1
        with pytest.raises(Unauthenticated):
            call(kind, address, "classify", gray(51))


def test_token_does_not_go_through_the_network_in_the_clear():
    with pytest.raises(ValueError, match="https"):
        RestClient("http://models.example.com", token="0123456789abcdef")


@pytest.mark.parametrize("kind", KINDS)
def test_image_that_is_too_large_is_a_bad_image(model_server, kind):
    with (
        adapter(f"127.0.0.1:{model_server.port}", Limits(image=imaging_limits(max_bytes=1000))) as it,
        pytest.raises(BadImage),
    ):
        call(kind, address_of(kind, it), "classify", gray(1) + b"\0" * 1000)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there_is_unavailable(kind):
    address = "127.0.0.1:1" if kind in ON_GRPC else "http://127.0.0.1:1"
    with pytest.raises(Unavailable, match=r"No adapter answers at .*127\.0\.0\.1:1"):
        call(kind, address, "classify", gray(1))


@pytest.mark.parametrize("kind", REST)
def test_what_passes_is_tried_again_and_what_does_not_is_not(kind):
    with answering(503, 502, 200) as (url, asked):
        assert call(kind, url, "model").name == "m"
        assert len(asked) == 3
    with answering(500) as (url, asked), pytest.raises(ClientError, match="not an adapter"):
        call(kind, url, "model")
    assert len(asked) == 1
    with answering(503) as (url, asked), pytest.raises(Unavailable):
        call(kind, url, "model")
    assert len(asked) == 4


@pytest.mark.parametrize("kind", REST)
def test_redirect_is_not_followed_with_somebodys_image(kind):
    with answering(302, 200) as (url, asked), pytest.raises(ClientError, match="not an adapter"):
        call(kind, url, "model")
    assert asked == ["/v1/model"]


@pytest.mark.parametrize("kind", REST)
def test_silence_is_too_slow(kind):
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(TooSlow):
        # The system accepts for it, and nobody ever answers.
        call(kind, f"http://127.0.0.1:{mute.getsockname()[1]}", "model", timeout=0.3)


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://models", "https://"])
def test_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="https://HOST:PORT"):
        RestClient(url)


def test_waiting_ends_when_a_version_is_served(served, model_server):
    model_server.labels.clear()

    async def wait():
        async with AsyncClient(served.grpc) as client:
            await until_serving_async(client, 30)

    def come_up():
        model_server.labels["stable"] = 1

    for waited in (lambda: until_serving(RestClient(served.http), 30), lambda: asyncio.run(wait())):
        model_server.labels.clear()
        with pytest.raises(Unavailable, match=f"'{MODEL}' has no version labelled 'stable' loaded yet. Waited 0.1 s"):
            until_serving(RestClient(served.http), 0.1)
        later = threading.Timer(0.3, come_up)
        later.start()
        waited()
        later.join()
