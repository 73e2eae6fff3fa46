"""What is written to a connection in one turn of the event loop leaves in one call of the system.

uvicorn writes an answer's headers and its body one after the other: two calls, and a client that is woken twice.
"""

import asyncio
from typing import Any

# Enough waits: further bytes should meet the transport's own bound on what a client does not read.
_MOST_BYTES = 64 * 1024


class Together:
    """A transport; all but what is below is that of `transport`."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._waiting = bytearray()
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._ended:
            return  # asyncio would raise, and whoever writes can't know
        if data and not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting += data
        if len(self._waiting) > _MOST_BYTES:
            self._flush()

    def write_eof(self) -> None:
        self._flush()
        self._ended = True
        self._transport.write_eof()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, bytearray()
            self._transport.write(waiting)
