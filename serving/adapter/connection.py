"""One HTTP connection within bounds. uvicorn has none for headers, nor for who sends them slowly or not at all."""

import asyncio
import json
from asyncio import TimerHandle
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, cast

import httptools  # noqa: F401  uvicorn's protocol below is made of it, and Pants does not look into uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.adapter import explained
from serving.adapter.crowded import Crowded
from serving.adapter.gate import CERTIFICATE
from serving.adapter.together import Together


@dataclass(frozen=True)
class ConnectionLimits:
    """Upper bounds, all inclusive."""

    max_header_bytes: int = 64 * 1024  # the request line among them
    max_headers: int = 100
    # Seconds until a new connection's first byte, and from a request's first byte to the end of its headers.
    header_seconds: float = 10.0
    # Seconds between two requests. Google's load balancer keeps its connections for 600 s and uses them again; one
    # that ends here first costs a request now and then.
    idle_seconds: int = 620
    # Seconds for the rest of a request that has its answer already, so that a client in the middle of sending reads it.
    linger_seconds: float = 5.0
    # Requests that are sent before the one before them has its answer.
    max_pipelined: int = 16
    # One more ends the one that was silent for longest. With none silent, so many further ones reach the probes alone.
    max_connections: int = 2000
    max_crowded: int = 64


_VERSIONS = ("1.0", "1.1")


class _Stage(Enum):
    SILENT = auto()  # between requests
    HEAD = auto()  # of a request, a part of its line and headers
    BODY = auto()


class _Refused(Exception):
    pass


def limited(limits: ConnectionLimits) -> type[HttpToolsProtocol]:
    """uvicorn's protocol class, held within `limits`."""
    return type("LimitedConnection", (_Connection,), {"limits": limits})


class _Connection(HttpToolsProtocol):
    limits = ConnectionLimits()
    app: Any

    def connection_made(self, transport: asyncio.Transport) -> None:
        # A protocol asks nothing of its transport's type, and mypy would have all of its methods here.
        super().connection_made(cast(asyncio.Transport, Together(transport, self.loop)))
        self._stage = _Stage.SILENT
        self._since = self.loop.time()
        # What is being answered: uvicorn's `cycle` is what came last, which may still wait for that.
        self._current: RequestResponseCycle | None = None
        self._refused = False
        self._status = HTTPStatus.BAD_REQUEST
        # What came since the last that was of use: the parser keeps a header until it is whole, however long.
        self._unread = self._header_bytes = self._headers = 0
        self._timer: TimerHandle | None = None
        self._start_timer(self.limits.header_seconds)
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._give_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._stage is _Stage.SILENT:
            self._stage = _Stage.HEAD
            self._start_timer(self.limits.header_seconds)
        self._unread += len(data)
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if self._unread > self.limits.max_header_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._stage is _Stage.HEAD and self._timer is None:
            self._start_timer(self.limits.header_seconds)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= self.limits.max_pipelined:
            raise _Refused
        self._stage = _Stage.HEAD
        self._header_bytes = self._headers = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in _VERSIONS:
            raise _Refused
        self._stop_timer()
        self._stage, self._unread = _Stage.BODY, 0
        self.scope["extensions"] = {CERTIFICATE: {}} if self.transport.get_extra_info("peercert") else {}
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._unread = 0

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stage, self._unread, self._since = _Stage.SILENT, 0, self.loop.time()
        self._stop_timer()
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            # The answer was there before the rest of the request, of which uvicorn waits for no more.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._since = self.loop.time()
        if self._stage is _Stage.BODY and not self.pipeline and not self.transport.is_closing():
            self._start_timer(self.limits.linger_seconds)

    def send_400_response(self, msg: str) -> None:
        """Called for whatever the parser does not take, and for what is refused above from inside the parser."""
        self._refuse(self._status)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Overrides uvicorn's."""
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    def _give_up(self) -> None:
        """Nothing further is answered."""
        self.pipeline.clear()
        for cycle in (self._current, self.cycle):
            if cycle:
                cycle.disconnected = True
                cycle.message_event.set()

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self.limits.max_header_bytes or self._headers > self.limits.max_headers:
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _Refused

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._stage is not _Stage.HEAD:
            # Nothing was said at all, or the rest of a request that has its answer does not come.
            self.transport.close()
        elif self._answering:
            self._start_timer(self.limits.header_seconds)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _silent(self) -> bool:
        return self._stage is _Stage.SILENT and not self._answering and not self.transport.is_closing()

    def _make_room(self) -> None:
        if len(self.connections) <= self.limits.max_connections:
            return
        others = [one for one in self.connections if isinstance(one, _Connection) and one is not self and one._silent]
        if others:
            # Who never asked anything goes first.
            min(others, key=lambda one: (one.cycle is not None, one._since)).transport.close()
        elif len(self.connections) > self.limits.max_connections + self.limits.max_crowded:
            self.transport.abort()
        else:
            self.app = Crowded(self.app)

    def _refuse(self, status: HTTPStatus) -> None:
        """Says why and ends the connection; what still comes is passed over, so that the client gets to read it."""
        self._refused = True
        self._stop_timer()
        self._unset_keepalive_if_required()
        if self._current and self._answering:
            self._give_up()
            if self._current.response_started:
                self.transport.close()
                return
        self.transport.write(_refusal(status, self.limits))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(self.limits.linger_seconds, self.transport.close)
        else:
            self.transport.close()


def _refusal(status: HTTPStatus, limits: ConnectionLimits) -> bytes:
    kind, detail = {
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
            "headers-too-large",
            f"The request's headers have more than {limits.max_header_bytes} bytes, or are more than "
            f"{limits.max_headers}.",
        ),
        HTTPStatus.REQUEST_TIMEOUT: (
            "request-timeout",
            f"The request's headers were not there within {limits.header_seconds:g} seconds.",
        ),
    }.get(status, ("bad-request", "This is no HTTP request that can be read."))
    document = {
        "type": f"urn:trainyard:problem:{kind}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "help": f"{explained.PREFIX}{kind}",
    }
    body = json.dumps(document).encode()
    headers = (
        b"content-type: application/problem+json\r\ncontent-length: %d\r\ncache-control: no-store\r\n"
        b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n" % len(body)
    )
    return STATUS_LINE[status] + headers + body
