"""The adapter's life: take the ports, serve, drain, leave."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp

from cli.errors import UsageError
from serving.adapter import examples, memory, spans
from serving.adapter.access import Access, AccessOptions
from serving.adapter.backend import Backend
from serving.adapter.connection import ConnectionLimits
from serving.adapter.grpc_api import GrpcServer
from serving.adapter.hosts import is_loopback
from serving.adapter.http_server import CLOSING, HttpServer, config, listening, port_taken
from serving.adapter.limits import Limits
from serving.adapter.logs import say
from serving.adapter.predictor import Predictor
from serving.adapter.refusals import Refusal
from serving.adapter.rest_api import create_app, create_metrics_app
from serving.adapter.service import Service
from serving.adapter.tls import Tls
from serving.adapter.tracing import traces

logger = logging.getLogger(__name__)

# Seconds between two looks at the model server. Shorter than the age up to which the stable version is believed, so
# requests find it known.
_WATCH_INTERVAL = 0.5
# Seconds between two looks at the files of tokens and certificates.
_REFRESH_INTERVAL = 2
# Seconds within which two signals count as one.
_ONE_REQUEST = 1.0
# Seconds in which gRPC's clients are told not to send further calls on their connections.
_TELLING = 0.1
# Seconds for calls to arrive that were sent upon the last answers.
_SETTLING = 0.2


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
    access: AccessOptions = field(default_factory=AccessOptions)
    # A folder of pictures that the page offers to try; by default those that were drawn for the model, if any were.
    examples: Path | None = None


@dataclass(frozen=True)
class Ports:
    """Where a running adapter listens."""

    http: int
    grpc: int
    metrics: int | None = None


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then until the requests in flight are answered.

    Raises:
        InfrastructureError: a port can't be had.
    """
    stop = _stop_event()
    async with running(options) as ports:
        # What is here now stays. To look through it all for garbage, now and then, would hold requests for 23 ms.
        gc.collect()
        gc.freeze()
        _say_where(options.host, ports, options.access.tls_certificate is not None)
        await stop.wait()


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncIterator[Ports]:
    """An adapter that serves inside the context and drains at its end; raises as `serve` does."""
    access = Access.of(options.access)
    tls = _tls(options.access)
    pictures = examples.load(options.examples, options.model)
    recorder = traces()
    with contextlib.ExitStack() as sockets:
        http_socket = sockets.enter_context(listening(options.host, options.http_port, "--http-port"))
        metrics_port = options.access.metrics_port
        metrics_socket = (
            None
            if metrics_port is None
            else sockets.enter_context(listening(options.host, metrics_port, "--metrics-port"))
        )
        memory.prepare()
        async with Backend(options.backend, options.model) as backend:
            service = Service(Predictor(backend, options.limits), options.limits, access.rates)
            grpc_server = GrpcServer(service, access, tls)
            grpc_port = _bind_grpc(grpc_server, options.host, options.grpc_port)
            app: ASGIApp = create_app(service, access, is_loopback(options.host), pictures)
            if recorder:
                app = recorder.http(app)
                spans.use(recorder)
                sockets.callback(spans.use, None)
            servers = [(HttpServer(config(app, options.connections, tls)), http_socket)]
            if metrics_socket:
                # Without TLS: who scrapes is in the same cluster, and the port is opened to it alone.
                servers.append((HttpServer(config(create_metrics_app(service), options.connections)), metrics_socket))
            await grpc_server.start()
            async with asyncio.TaskGroup() as tasks:
                for server, bound in servers:
                    tasks.create_task(server.serve([bound]))
                watching = [
                    tasks.create_task(_watch(service, grpc_server)),
                    tasks.create_task(_refresh(access, tls)),
                ]
                yield Ports(
                    http_socket.getsockname()[1],
                    grpc_port,
                    metrics_socket.getsockname()[1] if metrics_socket else None,
                )
                for task in watching:
                    task.cancel()
                await _drain(service, grpc_server, options.drain_timeout)
                for server, _ in servers:
                    server.should_exit = True
            service.predictor.close()
            if recorder:
                await asyncio.to_thread(recorder.close)


def _tls(options: AccessOptions) -> Tls | None:
    if options.tls_certificate or options.tls_key:
        return Tls(options)
    if options.tls_client_ca:
        raise UsageError("--tls-client-ca is for TLS; name --tls-certificate and --tls-key too.")
    return None


async def _refresh(access: Access, tls: Tls | None) -> None:
    """Follows what changes: mounted files of tokens and certificates, and an identity provider's keys."""
    while access.tokens or tls or access.signed:
        if access.signed:
            # Beside the event loop: the address may take its time.
            await asyncio.to_thread(access.signed.keys.refresh)
        await asyncio.sleep(_REFRESH_INTERVAL)
        if access.tokens:
            access.tokens.refresh()
        if tls:
            tls.refresh()


async def _drain(service: Service, grpc_server: GrpcServer, timeout: float) -> None:
    """Says everywhere that this adapter is leaving, and waits for the requests in flight."""
    say(f"Shutting down: waiting for {service.admission.here} requests in flight.")
    draining = asyncio.create_task(service.admission.drain(timeout))
    await grpc_server.tell_health(False)
    if not await draining:
        logger.warning("%d requests were cut off after %g s", service.admission.here, timeout)
    # Who got the last answers asks again at once; those calls are to be here and held when the server stops.
    service.admission.closing = True
    await asyncio.sleep(_SETTLING)
    stopping = asyncio.create_task(grpc_server.stop(CLOSING))
    await asyncio.sleep(_TELLING)
    service.admission.leaving.set()
    await stopping


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
            say(state)
            await grpc_server.tell_health(serving)
            known = state
        await asyncio.sleep(_WATCH_INTERVAL)


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


def _bind_grpc(server: GrpcServer, host: str, port: int) -> int:
    try:
        return server.bind(_joined(host, port))
    except OSError as error:
        raise port_taken(port, host, "--grpc-port", error) from None


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _say_where(host: str, ports: Ports, tls: bool) -> None:
    http = f"{'https' if tls else 'http'}://{_joined(host, ports.http)}"
    say(f"Page  {http}/")
    say(f"REST  {http}/v1/classify (described at {http}/docs)")
    say(f"gRPC  {_joined(host, ports.grpc)}")
    if ports.metrics is not None:
        say(f"Metrics  http://{_joined(host, ports.metrics)}/metrics")
