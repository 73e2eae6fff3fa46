"""One HTTP connection: uvicorn's, but it does not wait for ever for the rest of a request's head."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Seconds until a new connection's first request must have said its head (request line and headers), and every later
# one from its first byte. Between two requests uvicorn's own limit holds.
HEAD_SECONDS = 15.0
MAX_HEAD_BYTES = 64 * 1024


class Connection(HttpToolsProtocol):
    """Closed when a request's head takes too long or is too large."""

    _late: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client is there; it has something to say soon, or nothing."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Some bytes, of a head or of a body."""
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        if self._late is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._late is not None and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request, perhaps right behind another one's last."""
        super().on_message_begin()
        if self._late is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._heard()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._heard()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._late = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _heard(self) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late, self._head_bytes = None, 0
