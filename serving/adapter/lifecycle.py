"""The adapter's life: take the ports, serve, drain, leave."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import uvicorn

from cli.errors import InfrastructureError
from serving.adapter import memory
from serving.adapter.backend import Backend
from serving.adapter.connection import ConnectionLimits, limited
from serving.adapter.grpc_api import GrpcServer
from serving.adapter.limits import Limits
from serving.adapter.predictor import Predictor
from serving.adapter.refusals import Refusal
from serving.adapter.rest_api import create_app
from serving.adapter.service import Service

logger = logging.getLogger(__name__)

# Seconds between two looks at the model server. Shorter than the age up to which the stable version is believed, so
# requests find it known.
_WATCH_INTERVAL = 0.5
# Seconds within which two signals count as one.
_ONE_REQUEST = 1.0
_BACKLOG = 2048
# Seconds for connections to close once every request is answered.
_CLOSING = 1


@dataclass(frozen=True)
class Options:
    """How the adapter was called; a port of 0 stands for any free one."""

    backend: str
    model: str
    host: str
    grpc_port: int
    http_port: int
    limits: Limits
    # Seconds that requests in flight get after the signal to shut down.
    drain_timeout: float
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)


@dataclass(frozen=True)
class Ports:
    """Where a running adapter listens."""

    http: int
    grpc: int


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then until the requests in flight are answered.

    Raises:
        InfrastructureError: a port can't be had.
    """
    stop = _stop_event()
    async with running(options) as ports:
        _say_where(options.host, ports)
        await stop.wait()


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncIterator[Ports]:
    """An adapter that serves inside the context and drains at its end; raises as `serve` does."""
    with _http_socket(options.host, options.http_port) as http_socket:
        memory.prepare()
        async with Backend(options.backend, options.model) as backend:
            service = Service(Predictor(backend, options.limits), options.limits)
            grpc_server = GrpcServer(service)
            grpc_port = _bind_grpc(grpc_server, options.host, options.grpc_port)
            http_server = _HttpServer(_uvicorn_config(service, options.connections))
            await grpc_server.start()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(http_server.serve([http_socket]))
                watching = tasks.create_task(_watch(service, grpc_server))
                yield Ports(http_socket.getsockname()[1], grpc_port)
                watching.cancel()
                await _drain(service, grpc_server, options.drain_timeout)
                http_server.should_exit = True
            service.predictor.close()


async def _drain(service: Service, grpc_server: GrpcServer, timeout: float) -> None:
    """Says everywhere that this adapter is leaving, and waits for the requests in flight."""
    _say(f"Shutting down: waiting for {service.admission.here} requests in flight.")
    draining = asyncio.create_task(service.admission.drain(timeout))
    await grpc_server.tell_health(False)
    if not await draining:
        logger.warning("%d requests were cut off after %g s", service.admission.here, timeout)
    await grpc_server.stop(_CLOSING)


async def _watch(service: Service, grpc_server: GrpcServer) -> None:
    """Keeps gRPC's health service, the metrics and the remembered stable version up to date."""
    known: str | None = None
    while True:
        try:
            state = f"Serving version {await service.ready()}"
            serving = True
        except Refusal as refusal:
            state, serving = f"Not ready: {refusal}", False
        if state != known:
            _say(state)
            await grpc_server.tell_health(serving)
            known = state
        await asyncio.sleep(_WATCH_INTERVAL)


class _HttpServer(uvicorn.Server):
    """Leaves signals to `serve`: uvicorn would stop listening before the drain, and /readyz has to say so first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _uvicorn_config(service: Service, connections: ConnectionLimits) -> uvicorn.Config:
    # What clients do wrong is counted and told to them; a line of log for each would be one more thing to flood.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        create_app(service),
        http=limited(connections),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        backlog=_BACKLOG,
        timeout_keep_alive=connections.idle_seconds,
        timeout_graceful_shutdown=_CLOSING,
    )


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask_to_stop() -> None:
        if not stop.is_set():
            stop.set()
            # Who ends all processes of a job, and ./pants too, ask twice at once.
            loop.call_later(_ONE_REQUEST, end_at_the_next)

    def end_at_the_next() -> None:
        """Asked twice: whoever asks does not want to wait for the requests in flight."""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_to_stop)
    return stop


@contextlib.contextmanager
def _http_socket(host: str, port: int) -> Iterator[socket.socket]:
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
            raise _port_taken(port, host, "--http-port", error) from None
        yield bound


def _bind_grpc(server: GrpcServer, host: str, port: int) -> int:
    try:
        return server.bind(_joined(host, port))
    except OSError as error:
        raise _port_taken(port, host, "--grpc-port", error) from None


def _port_taken(port: int, host: str, flag: str, error: OSError) -> InfrastructureError:
    reason = (error.strerror or "is it in use?").lower()
    return InfrastructureError(f"Port {port} on {host} can't be opened ({reason}); choose another one with {flag}.")


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _say_where(host: str, ports: Ports) -> None:
    http = _joined(host, ports.http)
    _say(f"Page  http://{http}/")
    _say(f"REST  http://{http}/v1/classify (described at http://{http}/docs)")
    _say(f"gRPC  {_joined(host, ports.grpc)}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
