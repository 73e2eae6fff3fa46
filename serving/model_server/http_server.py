"""Carries HTTP to the REST API: reads bodies within a limit, runs requests in threads, cuts them off after a time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import uvicorn

from serving.model_server.callers import Caller, ending_at
from serving.model_server.errors import ServingError, invalid
from serving.model_server.http_connection import Connection
from serving.model_server.rest import Parts, RestApi, error_reply

# Seconds that a connection without a request stays open. Load balancers keep theirs for 600 s and use them again; one
# that ends here first costs a request now and then.
KEEP_ALIVE_SECONDS = 620
BODY_SECONDS = 30.0
_QUICK_THREADS = 4
_UNZIPPED_AT_ONCE = 2**20  # bytes; some milliseconds
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class HttpServer:
    """Serves `api` on a socket that is already bound, in a thread of its own."""

    def __init__(
        self,
        api: RestApi,
        listener: socket.socket,
        threads: int,
        timeout_seconds: float,
        cors: bool = False,
        pages: dict[str, Callable[[], bytes]] | None = None,
        most_bytes: int = 100 * 2**20,
    ) -> None:
        """`timeout_seconds`: 0 for no limit; `pages`: plain texts by path, made when asked for.

        `most_bytes` of a body, also after decompression.
        """
        self._most = most_bytes
        self._pages = pages or {}
        self._api = api
        self._listener = listener
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rest")
        # Status and metadata, which must not wait for models.
        self._quick = ThreadPoolExecutor(_QUICK_THREADS, thread_name_prefix="rest-quick")
        self._timeout = timeout_seconds if timeout_seconds > 0 else None
        self._cors = [(b"access-control-allow-origin", b"*"), (b"access-control-allow-methods", b"POST, GET"),
                      (b"access-control-allow-headers", b"Content-Type")] if cors else []  # fmt: skip
        config = uvicorn.Config(
            self._app, interface="asgi3", lifespan="off", log_config=None, access_log=False, proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS, http=Connection, server_header=False,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="http", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._listener.listen(2048)  # from here on no connection is refused, however long the thread takes to start
        self._thread.start()

    def drain(self, seconds: float) -> None:
        """Take no new requests, let the ones that run finish for at most `seconds`."""
        self._server.config.timeout_graceful_shutdown = max(1, int(seconds))
        self._server.should_exit = True
        self._thread.join(seconds + 1)

    async def _app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        # As it was sent: "%2F" in a model's name divides nothing. A query belongs to the path, as in the original.
        page = scope["raw_path"].decode("latin-1")
        path = f"{page}?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else page
        kind = b"application/json"
        answer: bytes | Parts
        try:
            body = await asyncio.wait_for(_read(scope, receive, self._most), _body_seconds(scope, self._most))
        except _TooLargeError:
            status, answer = 413, b'{ "error": "The request body is larger than %d MiB." }' % (self._most >> 20)
        except ServingError as error:
            status, answer = error_reply(error)
        except TimeoutError:
            status, answer = 408, b'{ "error": "The request\'s body did not arrive in time." }'
        else:
            if page in self._pages:
                kind = b"text/plain"
                status, answer = (200, self._pages[page]()) if path == page else _unexpected(path, page)
            elif not path.lower().startswith("/v1/"):
                kind, status, answer = b"text/plain", 404, b""
            elif scope["method"] == "OPTIONS":
                status, answer = self._api.preflight(dict(scope["headers"]).get(b"origin", b""))
            else:
                status, answer = await self._handled(scope["method"], path, body, receive)
        parts = [answer] if isinstance(answer, bytes) else answer
        headers = [(b"content-type", kind), (b"content-length", str(sum(map(len, parts))).encode()), *self._cors]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if scope["method"] == "HEAD":
            parts = [b""]
        for position, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": position < len(parts)})

    async def _handled(self, method: str, path: str, body: Parts, receive: Receive) -> tuple[int, bytes | Parts]:
        with ending_at(None if self._timeout is None else time.monotonic() + self._timeout):
            caller = Caller()

        def handle() -> tuple[int, bytes | Parts]:
            with caller.served():
                return self._api.handle(method, path, body)

        pool = self._pool if method == "POST" else self._quick
        work = asyncio.get_running_loop().run_in_executor(pool, handle)
        # With the body read, what comes next is that the client goes away.
        leaving = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((work, leaving), timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
        if work.done():
            return work.result()
        work.cancel()  # not begun: nothing will be
        caller.leave()
        return error_reply(ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for the model."))


class _TooLargeError(Exception):
    """A body of more bytes than are taken."""


def _body_seconds(scope: dict[str, Any], most: int) -> float:
    """How long a body may take to arrive: at least 256 KiB a second, once it has begun."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    size = int(length[:20]) if length.isdigit() else most
    return BODY_SECONDS + min(size, most) / 2**18


def _unexpected(path: str, page: str) -> tuple[int, bytes]:
    """A page that was asked for with a query."""
    return 400, f"Unexpected path: {path}. Should be {page}".encode()


async def _read(scope: dict[str, Any], receive: Receive, most: int) -> Parts:
    """The whole body, decompressed. Raises _TooLargeError past `most` bytes, ServingError for damaged gzip data."""
    encoding = dict(scope["headers"]).get(b"content-encoding", b"")
    unzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if b"gzip" in encoding.lower() else None
    parts: Parts = []
    size = 0
    more, began = True, False
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ServingError(grpc.StatusCode.CANCELLED, "The client went away.")
        part = message.get("body", b"")
        more = message.get("more_body", False)
        began = began or bool(part)
        while part:
            piece, part = (part, b"") if unzip is None else _unzipped(unzip, part)
            size += len(piece)
            if size > most:
                raise _TooLargeError
            parts.append(piece)
            if part:
                await asyncio.sleep(0)  # a turn for others: out of gzip can come a thousand times as much
    if unzip is not None and began and not unzip.eof:  # a GET may say that its body, which it has not, is gzip
        raise invalid("Failed to decompress the gzip request body.")
    return parts


def _unzipped(unzip: zlib._Decompress, data: bytes) -> tuple[bytes, bytes]:
    """Something of what comes out of `data`, and what is left of it."""
    try:
        return unzip.decompress(data, _UNZIPPED_AT_ONCE), b"" if unzip.eof else unzip.unconsumed_tail
    except zlib.error:
        raise invalid("Failed to decompress the gzip request body.") from None
