"""The clients through an identity-aware proxy: a stand-in for Google's, which wants `Proxy-Authorization`.

As Google documents it: an identity token is looked for in `Proxy-Authorization` first, and the application gets
`Authorization` as it was sent. Whoever shows none gets 401, of HTTP, also where gRPC is spoken.
"""

import asyncio
import contextlib
import functools
import http.client
import http.server
import socket
import struct
import threading
from concurrent import futures

import grpc
import pytest
from trainyard_client import Access, AsyncClient, AsyncRestClient, Client, RestClient, Unauthenticated
from typer.testing import CliRunner

from serving.adapter.access import AccessOptions
from serving.client import __main__ as command
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from tests.unit.client.test_every_client import ON_GRPC, call

TOKEN, IDENTITY = "0123456789abcdef", "an.identity.token"
KINDS = [Client, AsyncClient, RestClient, AsyncRestClient]
USAGE = 2


class Grpc(grpc.GenericRpcHandler):
    """Lets calls with the identity token through, without it."""

    def __init__(self, channel, seen):
        self._channel, self._seen = channel, seen

    def service(self, details):
        shown = dict(details.invocation_metadata)
        self._seen.append(shown.get("proxy-authorization"))
        passed = [(name, value) for name, value in shown.items() if name == "authorization"]
        forward = self._channel.unary_unary(details.method)

        def answer(request, context):
            if shown.get("proxy-authorization") != f"Bearer {IDENTITY}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "Received http2 header with status: 401")
            try:
                return forward(request, timeout=10, metadata=passed)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return grpc.unary_unary_rpc_method_handler(answer)


@contextlib.contextmanager
def grpc_proxy(address, seen):
    with grpc.insecure_channel(address) as channel:
        server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Grpc(channel, seen)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait(10)


@contextlib.contextmanager
def rest_proxy(url, seen):
    host = url.partition("//")[2]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.headers.get("Proxy-Authorization"))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if seen[-1] != f"Bearer {IDENTITY}":
                status, answer = 401, b"Invalid IAP credentials: empty token"
            else:
                kept = {name: self.headers[name] for name in ("Authorization", "Content-Type") if self.headers[name]}
                connection = http.client.HTTPConnection(host, timeout=10)
                connection.request(self.command, self.path, body, kept)
                got = connection.getresponse()
                status, answer = got.status, got.read()
                connection.close()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture
def behind(model_server, tmp_path):
    """kind of client -> (address of a proxy, what it was shown); the adapter behind wants a token of its own."""
    (tmp_path / "tokens").write_text(f"{TOKEN}\n")
    seen = []
    with contextlib.ExitStack() as stack:
        options = AccessOptions(token_file=tmp_path / "tokens")
        it = stack.enter_context(adapter(f"127.0.0.1:{model_server.port}", access=options))
        by = {
            True: stack.enter_context(grpc_proxy(it.grpc, seen)),
            False: stack.enter_context(rest_proxy(it.http, seen)),
        }
        yield lambda kind: (by[kind in ON_GRPC], seen)


def client_of(kind, **shown):
    return functools.partial(kind, access=Access(**shown)) if kind in ON_GRPC else functools.partial(kind, **shown)


@pytest.mark.parametrize("kind", KINDS)
def test_proxy_and_adapter_each_get_their_token(behind, kind):
    address, _ = behind(kind)
    shown = client_of(kind, token=TOKEN, proxy_token=IDENTITY)
    assert call(shown, address, "classify", gray(51)).version == 1
    assert call(shown, address, "model").name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shown", [{"token": TOKEN}, {"token": TOKEN, "proxy_token": "of.yesterday"}])
def test_proxys_refusal_says_whose_it_is(behind, kind, shown):
    address, _ = behind(kind)
    with pytest.raises(Unauthenticated, match=r"behind a proxy .* --proxy-token-file"):
        call(client_of(kind, **shown), address, "classify", gray(51))


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_refusal_is_not_taken_for_the_proxys(behind, kind):
    address, _ = behind(kind)
    with pytest.raises(Unauthenticated) as raised:
        call(client_of(kind, proxy_token=IDENTITY), address, "classify", gray(51))
    assert "proxy" not in str(raised.value)


@pytest.mark.parametrize("kind", [Client, RestClient])
def test_token_that_is_over_is_followed_by_the_next(behind, kind):
    address, seen = behind(kind)
    tokens = iter(["of.yesterday", IDENTITY])
    client = client_of(kind, token=TOKEN, proxy_token=lambda: next(tokens))(address)
    with pytest.raises(Unauthenticated):
        client.classify(gray(51))
    assert client.classify(gray(51)).version == 1
    assert seen == ["Bearer of.yesterday", f"Bearer {IDENTITY}"]


@pytest.mark.parametrize("kind", [RestClient, AsyncRestClient])
def test_identity_does_not_go_through_the_network_in_the_clear(kind):
    with pytest.raises(ValueError, match="https"):
        kind("http://models.example.com", proxy_token=IDENTITY)


def test_without_one_no_such_header_is_sent(behind):
    for kind in (Client, RestClient):
        address, seen = behind(kind)
        with pytest.raises(Unauthenticated):
            call(kind, address, "model")
        assert seen.pop() is None


def unauthorized(connection):
    """Answers a first HTTP/2 request with 401 and nothing else, as what is no gRPC service does."""
    with connection:
        data = b""
        connection.sendall(b"\0\0\0\4\0\0\0\0\0")  # SETTINGS, which are waited for
        while True:
            data += connection.recv(65536)
            rest = data[24:]  # after the preface
            while len(rest) >= 9:
                length, kind, stream = int.from_bytes(rest[:3], "big"), rest[3], struct.unpack(">I", rest[5:9])[0]
                if len(rest) < 9 + length:
                    break
                if kind == 1:  # HEADERS
                    acknowledged = b"\0\0\0\4\1\0\0\0\0"
                    status = b"\x08\x03401"  # a literal under the name :status
                    headers = len(status).to_bytes(3, "big") + b"\x01\x05" + struct.pack(">I", stream) + status
                    connection.sendall(acknowledged + headers)
                    while connection.recv(65536):
                        pass
                    return
                rest = rest[9 + length :]


def test_answer_of_http_over_grpc_is_the_proxys():
    """gRPC's own words for it, which the stand-in above repeats."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        threading.Thread(target=lambda: unauthorized(listening.accept()[0]), daemon=True).start()
        with Client(f"127.0.0.1:{port}") as client, pytest.raises(Unauthenticated, match="behind a proxy"):
            client.model(timeout=5)


def test_command_shows_what_the_files_hold(behind, tmp_path):
    address, _ = behind(Client)
    (tmp_path / "a.png").write_bytes(gray(255))
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "identity").write_text(f"{IDENTITY}\n")

    def ended(*flags):
        result = CliRunner().invoke(command.app, ["classify", str(tmp_path / "a.png"), "--address", *map(str, flags)])
        return getattr(result.exception, "exit_code", result.exit_code), str(result.exception)

    files = ("--token-file", tmp_path / "token", "--proxy-token-file", tmp_path / "identity")
    assert ended(address, *files)[0] == 0
    code, said = ended(address, *files[:2])
    assert code == USAGE and "--proxy-token-file" in said and "(--token-file" not in said
    code, said = ended("10.0.0.7:9090", "--plaintext", *files[2:])
    assert code == USAGE and "everybody on the way" in said


def test_the_loop_of_an_asynchronous_client_is_asked_too(behind):
    address, _ = behind(AsyncClient)

    async def ask():
        async with AsyncClient(address, access=Access(token=TOKEN, proxy_token=lambda: IDENTITY)) as client:
            return await client.classify(gray(51))

    assert asyncio.run(ask()).version == 1
