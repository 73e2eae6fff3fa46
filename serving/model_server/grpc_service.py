"""The gRPC services PredictionService, ModelService and, when asked for, grpc.health.v1.Health, in an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import grpc
import grpc.aio
import uvloop
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    regression_pb2,
)

from serving.model_server.callers import Caller, ending_at
from serving.model_server.errors import answer_to
from serving.model_server.grpc_calls import Calls, Threads, parsed
from serving.model_server.handlers import Handlers
from serving.model_server.metrics import Metrics

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),  # the original lifts the default of 4 MiB as well
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # so that a second server on the port fails instead of taking half the requests
    # Calls that wait for the event loop, of clients that have left too. Beyond the first number gRPC ends ever more of
    # the new ones, beyond the second all, whoever's, with a bare CANCELLED; its own are 1,000 and 3,000. Each waiting
    # call is some 30 KB, and clients that give up faster than their calls are thrown away fill any number.
    ("grpc.server.max_pending_requests", 5_000),
    ("grpc.server.max_pending_requests_hard_limit", 10_000),
    # Seconds that a call may wait so before gRPC ends it in the same way (its own: 30); its deadline ends it earlier.
    ("grpc.server_max_unrequested_time_in_server", 3_600),
]
_MANAGING_THREADS = 8
Method = Callable[[bytes], Awaitable[bytes]]
T = TypeVar("T")


class GrpcServer:
    """The server, its event loop in a thread, and two pools: for inference, and one that always has time."""

    def __init__(
        self, handlers: Handlers, metrics: Metrics, threads: int, with_health: bool, arguments: str = ""
    ) -> None:
        """`arguments`: "key=value,…" for gRPC itself."""
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="grpc", daemon=True).start()
        self._server = self._in_loop(_made(handlers, metrics, threads, with_health, arguments))

    def bind(self, address: str, credentials: grpc.ServerCredentials | None = None) -> None:
        """Listen on "HOST:PORT" or "unix:PATH". Raises OSError when that is not possible."""
        try:
            if credentials is None:
                bound = self._server.add_insecure_port(address)
            else:
                bound = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(str(error)) from None
        if bound == 0:
            raise OSError(f"cannot listen on {address}")

    def start(self) -> None:
        """Begin to answer."""
        self._in_loop(self._server.start())

    def drain(self, seconds: float) -> None:
        """Take no new requests, let the ones that run finish for at most `seconds`."""
        self._in_loop(self._server.stop(seconds))

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _made(
    handlers: Handlers, metrics: Metrics, threads: int, with_health: bool, arguments: str
) -> grpc.aio.Server:
    """A server that listens nowhere yet."""
    server = grpc.aio.server(options=_options(arguments))
    calls = Calls(handlers, metrics, Threads(threads, "predict"))
    manage = Threads(_MANAGING_THREADS, "manage")

    def inference(api: str, answer: Callable[[Any], Any], request: Any) -> Method:
        return partial(calls.in_a_thread, api, answer, request)

    def management(answer: Callable[[Any, Caller], Any], request: Any) -> Method:
        async def method(data: bytes) -> bytes:
            message = parsed(data, request)
            return bytes((await manage.run(partial(answer, message))).SerializeToString())

        return method

    _add(
        server,
        "PredictionService",
        {
            "GetModelMetadata": management(
                lambda message, _: handlers.metadata(message), get_model_metadata_pb2.GetModelMetadataRequest
            ),
        },
        Predict=calls.predict,
        Classify=inference("Classify", handlers.classify, classification_pb2.ClassificationRequest),
        Regress=inference("Regress", handlers.regress, regression_pb2.RegressionRequest),
        MultiInference=inference("MultiInference", handlers.multi_inference, inference_pb2.MultiInferenceRequest),
    )
    _add(
        server,
        "ModelService",
        {
            "GetModelStatus": management(
                lambda message, _: handlers.status(message), get_model_status_pb2.GetModelStatusRequest
            ),
            "HandleReloadConfigRequest": management(
                lambda message, caller: handlers.reload(message, caller.is_gone),
                model_management_pb2.ReloadConfigRequest,
            ),
        },
    )
    if with_health:
        await _add_health(server)
    _add_reflection(server)
    return server


def _add(
    server: grpc.aio.Server, service: str, apart: Mapping[str, Method] = MappingProxyType({}), **methods: Method
) -> None:
    """`apart`: methods whose calls wait in a line of their own in gRPC, each; all others wait in one.

    gRPC hands the event loop one call of each line a turn, so who manages the server need not wait behind inference.
    """
    name, answering = f"tensorflow.serving.{service}", _handlers(methods)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, answering),))
    server.add_registered_method_handlers(name, _handlers(apart))


def _handlers(methods: Mapping[str, Method]) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
    return {name: grpc.unary_unary_rpc_method_handler(_answering(method)) for name, method in methods.items()}


def _answering(method: Method) -> Callable[[bytes, Any], Awaitable[bytes | None]]:
    async def behavior(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes | None:
        left = context.time_remaining()
        try:
            with ending_at(None if left is None else time.monotonic() + left):
                return await method(data)
        except Exception as problem:
            error = answer_to(problem)
        await context.abort(error.code, error.message)
        return None

    return behavior


async def _add_health(server: grpc.aio.Server) -> None:
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    servicer = health.aio.HealthServicer()
    for name in ("", "ModelService", "PredictionService"):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)


def _add_reflection(server: grpc.aio.Server) -> None:
    from grpc_reflection.v1alpha import reflection
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

    services = (prediction_service_pb2, "PredictionService"), (model_service_pb2, "ModelService")
    names = [module.DESCRIPTOR.services_by_name[name].full_name for module, name in services]
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)


def _options(arguments: str) -> list[tuple[str, int | str]]:
    """gRPC's own settings: those that were asked for, and ours; of two of one name gRPC itself would take the first."""
    options: dict[str, int | str] = dict(_OPTIONS)
    for argument in filter(None, arguments.split(",")):
        key, value = argument.split("=")
        options[key] = int(value) if value.lstrip("-").isdigit() else value
    return list(options.items())
