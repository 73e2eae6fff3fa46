"""The gRPC services PredictionService, ModelService and, when asked for, grpc.health.v1.Health."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.model_server.callers import Caller
from serving.model_server.errors import answer_to, as_serving_error, invalid
from serving.model_server.handlers import Handlers
from serving.model_server.metrics import Metrics

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),  # the original lifts the default of 4 MiB as well
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # so that a second server on the port fails instead of taking half the requests
]
_MANAGING_THREADS = 8


class GrpcServer:
    """The server with its thread pools: one for inference, one that always has time for status and configuration."""

    def __init__(
        self, handlers: Handlers, metrics: Metrics, threads: int, with_health: bool, arguments: str = ""
    ) -> None:
        """`arguments`: "key=value,…" for gRPC itself."""
        self._metrics = metrics
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="predict"), options=_options(arguments)
        )
        manage = ThreadPoolExecutor(_MANAGING_THREADS, thread_name_prefix="manage")
        self._add(
            "PredictionService",
            Predict=self._inference("Predict", handlers.predict, predict_pb2.PredictRequest),
            Classify=self._inference("Classify", handlers.classify, classification_pb2.ClassificationRequest),
            Regress=self._inference("Regress", handlers.regress, regression_pb2.RegressionRequest),
            MultiInference=self._inference(
                "MultiInference", handlers.multi_inference, inference_pb2.MultiInferenceRequest
            ),
            GetModelMetadata=_method(
                lambda message, _: handlers.metadata(message), get_model_metadata_pb2.GetModelMetadataRequest, manage
            ),
        )
        self._add(
            "ModelService",
            GetModelStatus=_method(
                lambda message, _: handlers.status(message), get_model_status_pb2.GetModelStatusRequest, manage
            ),
            HandleReloadConfigRequest=_method(
                lambda message, context: handlers.reload(message, lambda: not context.is_active()),
                model_management_pb2.ReloadConfigRequest,
                manage,
            ),
        )
        if with_health:
            self._add_health()
        self._add_reflection()

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
        self._server.start()

    def drain(self, seconds: float) -> None:
        """Take no new requests, let the ones that run finish for at most `seconds`."""
        self._server.stop(seconds).wait()

    def _add(self, service: str, **methods: grpc.RpcMethodHandler) -> None:
        handler = grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", methods)
        self._server.add_generic_rpc_handlers((handler,))

    def _add_health(self) -> None:
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc

        servicer = health.HealthServicer()
        for name in ("", "ModelService", "PredictionService"):
            servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self._server)

    def _add_reflection(self) -> None:
        from grpc_reflection.v1alpha import reflection
        from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

        services = (prediction_service_pb2, "PredictionService"), (model_service_pb2, "ModelService")
        names = [module.DESCRIPTOR.services_by_name[name].full_name for module, name in services]
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), self._server)

    def _inference(self, api: str, answer: Callable[[Any], Any], request: Any) -> grpc.RpcMethodHandler:
        """A method that is measured."""

        def measured(message: Any, _: grpc.ServicerContext) -> Any:
            started = time.perf_counter()
            status = "OK"
            try:
                return answer(message)
            except Exception as problem:
                status = as_serving_error(problem).code.name
                raise
            finally:
                self._metrics.request(_model_name(message), api, "GRPC", status, time.perf_counter() - started)

        return _method(measured, request)


def _options(arguments: str) -> list[tuple[str, int | str]]:
    """gRPC's own settings: those that were asked for, and ours; of two of one name gRPC itself would take the first."""
    options: dict[str, int | str] = dict(_OPTIONS)
    for argument in filter(None, arguments.split(",")):
        key, value = argument.split("=")
        options[key] = int(value) if value.lstrip("-").isdigit() else value
    return list(options.items())


def _model_name(message: Any) -> str:
    if isinstance(message, inference_pb2.MultiInferenceRequest):
        return message.tasks[0].model_spec.name if message.tasks else ""
    return str(message.model_spec.name)


def _method(
    answer: Callable[[Any, grpc.ServicerContext], Any], request: Any, pool: ThreadPoolExecutor | None = None
) -> grpc.RpcMethodHandler:
    def behavior(data: bytes, context: grpc.ServicerContext) -> Any:
        caller = Caller()
        if not context.add_callback(caller.leave):
            return None  # the caller's deadline passed while the request waited: nobody reads an answer
        try:
            with caller.served():
                return answer(_parsed(data, request), context)
        except Exception as problem:
            error = answer_to(problem)
        context.abort(error.code, error.message)

    if pool is not None:
        # Read by grpcio (grpc/_server.py): calls of this method go to this pool.
        behavior.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(behavior, None, lambda message: message.SerializeToString())


def _parsed(data: bytes, request: Any) -> Any:
    try:
        return request.FromString(data)
    except (DecodeError, UnicodeDecodeError):
        raise invalid(f"The request is no {request.DESCRIPTOR.full_name} message.") from None
