"""What Cloud Storage lets an account do, before an emulator that lets everybody do everything.

One proxy stands for one account, as the clients of an emulator send no identity. A managed folder's grant is for names
that begin with the folder's, which ends with a slash; a conditional one for a single object. What Google answers about
an object that is not there, to an account that may list the folder and not the bucket, is not documented: a proxy that
is `strict` refuses, any other says that it is not there.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
import urllib.parse
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GET, LIST, CREATE, DELETE, UPDATE = ("get", "list", "create", "delete", "update")
ROLES = {
    "roles/storage.objectViewer": {GET, LIST},
    "roles/storage.objectUser": {GET, LIST, CREATE, DELETE, UPDATE},
}
_OBJECT = re.compile(r"(?:/download)?/storage/v1/b/([^/]+)/o/([^/]+)")
_REWRITE = re.compile(r"/storage/v1/b/[^/]+/o/([^/]+)/rewriteTo/b/([^/]+)/o/([^/]+)")
_LIST = re.compile(r"/storage/v1/b/([^/]+)/o")
_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o")
_XML = re.compile(r"/(?!storage/|upload/|download/)([^/]+)/(.+)")


@dataclass(frozen=True)
class Grant:
    """`role` for the names below `prefix`, which ends with a slash; with `one` for the object of that name alone."""

    prefix: str
    role: str
    one: bool = False

    def allows(self, right: str, name: str) -> bool:
        if self.one:
            return right in ROLES[self.role] - {LIST} and name == self.prefix
        return right in ROLES[self.role] and name.startswith(self.prefix)


class Account:
    """What one account may do in a bucket, what it did, and what it was refused."""

    def __init__(self, grants: Sequence[Grant], strict: bool) -> None:
        self.grants, self.strict = grants, strict
        # Grants that let something through, with each right that was used.
        self.used: set[tuple[Grant, str]] = set()
        # RIGHT NAME, as often as it was asked for; not of objects that were not there.
        self.refused: list[str] = []
        self.address, self.port = "", 0

    def may(self, right: str, name: str) -> bool:
        allowing = [grant for grant in self.grants if grant.allows(right, name)]
        self.used.update((grant, right) for grant in allowing)
        return bool(allowing)


def left_over(grants: Sequence[Grant], used: Collection[tuple[Grant, str]]) -> list[str]:
    """Of what is granted what no program uses: a folder, or more than reading it."""
    found = []
    for grant in grants:
        rights = {right for of, right in used if of == grant}
        if not rights:
            found.append(f"{grant.prefix} is never used")
        elif grant.role == "roles/storage.objectUser" and rights <= {GET, LIST}:
            found.append(f"{grant.prefix} is only read")
    return found


@contextmanager
def account(
    upstream: str, grants: Sequence[Grant], *, strict: bool, tls: tuple[Path, Path] | None = None
) -> Iterator[Account]:
    """An account whose `address` leads to the emulator at `upstream`; with a certificate and its key it speaks TLS."""
    made = Account(grants, strict)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.account, server.upstream = made, urllib.parse.urlsplit(upstream).netloc
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    made.port = int(server.server_port)
    made.address = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    account: Account
    upstream: str


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        body = self._body()
        needed = self._needed(body)
        refused = [(right, name) for right, name in needed if not self.server.account.may(right, name)]
        hidden = not refused and any(right in (GET, DELETE) and not self._is_there(name) for right, name in needed)
        if refused:
            absent = all(right == GET for right, _ in refused) and not self._is_there(refused[0][1])
            if not absent:
                self.server.account.refused.extend(f"{right} {name}" for right, name in refused)
            self._refuse(*refused[0])
        elif hidden and self.server.account.strict:
            self._refuse(*needed[0])
        else:
            self._forward(body)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _needed(self, body: bytes) -> list[tuple[str, str]]:
        """The rights that this request takes, each with the object (of a listing: the prefix) that it is about."""
        path, _, query = self.path.partition("?")
        options = dict(urllib.parse.parse_qsl(query))
        if match := _REWRITE.fullmatch(path):
            return [(GET, _name(match[1])), *self._writes(_name(match[3]))]
        if match := _UPLOAD.fullmatch(path):
            if self.command == "PUT":  # the rest of an upload that was let in
                return []
            if "name" not in options:  # in the first part of the body, or alone there
                about = body[body.index(b"{") :].decode(errors="replace")
                options = json.JSONDecoder().raw_decode(about)[0]
            return self._writes(options["name"])
        if _LIST.fullmatch(path):
            return [(LIST, options.get("prefix", ""))]
        if match := _OBJECT.fullmatch(path) or _XML.fullmatch(path):
            return [({"GET": GET, "HEAD": GET, "DELETE": DELETE}.get(self.command, UPDATE), _name(match[2]))]
        return [("something else", path)]

    def _writes(self, name: str) -> list[tuple[str, str]]:
        return [(CREATE, name), *([(DELETE, name)] if self._is_there(name) else [])]

    def _is_there(self, name: str) -> bool:
        bucket = re.match(r"(?:(?:/\w+)?/storage/v1/b)?/([^/?]+)", self.path)
        assert bucket
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        connection.request("GET", f"/storage/v1/b/{bucket[1]}/o/{urllib.parse.quote(name, safe='')}")
        there = connection.getresponse().status == 200
        connection.close()
        return there

    def _refuse(self, right: str, name: str) -> None:
        text = f"this account does not have storage.objects.{right} access to {name} (or it may not exist)"
        body = json.dumps({"error": {"code": 403, "message": text}}).encode()
        self._answer(403, [("Content-Type", "application/json")], body)

    def _forward(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        dropped = {"connection", "transfer-encoding", "content-length"}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        path = self.path
        if match := _XML.fullmatch(path):  # which the emulator knows under a host of its own alone
            path = f"/download/storage/v1/b/{match[1]}/o/{urllib.parse.quote(_name(match[2]), safe='')}?alt=media"
        connection.request(self.command, path, body or None, headers)
        answer = connection.getresponse()
        self._answer(answer.status, answer.getheaders(), answer.read())
        connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _name(quoted: str) -> str:
    return urllib.parse.unquote(quoted)
