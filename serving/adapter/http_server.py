"""The HTTP servers: uvicorn's, on sockets that are taken before anything else is begun."""

import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from cli.errors import InfrastructureError
from serving.adapter.connection import ConnectionLimits, limited
from serving.adapter.tls import Tls

_BACKLOG = 2048
# Seconds for connections to close once every request is answered.
CLOSING = 1


class HttpServer(uvicorn.Server):
    """Leaves signals to others: uvicorn would stop listening before the drain, and /readyz has to say so first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def config(app: ASGIApp, connections: ConnectionLimits, tls: Tls | None = None) -> uvicorn.Config:
    # What clients do wrong is counted and told to them; a line of log for each would be one more thing to flood.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        http=limited(connections),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        backlog=_BACKLOG,
        timeout_keep_alive=connections.idle_seconds,
        timeout_graceful_shutdown=CLOSING,
        ssl_context_factory=(lambda _config, _default: tls.context) if tls else None,
    )


@contextlib.contextmanager
def listening(host: str, port: int, flag: str) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise InfrastructureError(f"The host name '{host}' is unknown; choose another one with --host.") from None
    with socket.socket(family, kind, protocol) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
            bound.listen(_BACKLOG)
        except OSError as error:
            raise port_taken(port, host, flag, error) from None
        yield bound


def port_taken(port: int, host: str, flag: str, error: OSError) -> InfrastructureError:
    reason = (error.strerror or "is it in use?").lower()
    return InfrastructureError(f"Port {port} on {host} can't be opened ({reason}); choose another one with {flag}.")
