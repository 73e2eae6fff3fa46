"""The gRPC services PredictionService, ModelService and, when asked for, grpc.health.v1.Health."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
)

from serving.model_server.errors import as_serving_error, invalid
from serving.model_server.manager import Lease, Manager
from serving.model_server.predict import PredictOptions, metadata, predict

log = logging.getLogger(__name__)
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),  # the original lifts the default of 4 MiB as well
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # so that a second server on the port fails instead of taking half the requests
]


def lease(manager: Manager, spec: model_pb2.ModelSpec) -> Lease:
    """The version that a ModelSpec asks for."""
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    return manager.lease(
        spec.name,
        version=spec.version.value if choice == "version" else None,
        label=spec.version_label if choice == "version_label" else None,
    )


def model_status(manager: Manager, name: str, version: int | None) -> get_model_status_pb2.GetModelStatusResponse:
    """States of one or all versions. Raises ServingError when there is none."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, state, error in manager.status(name, version):
        row = response.model_version_status.add(version=number, state=int(state))
        row.status.error_code = error.code.value[0] if error else 0
        row.status.error_message = error.message if error else ""
    return response


class GrpcServer:
    """The server with its thread pools: one for predictions, one that always has time for status and configuration."""

    def __init__(self, manager: Manager, options: PredictOptions, threads: int, with_health: bool) -> None:
        self._manager = manager
        self._options = options
        self._predicting = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._managing = ThreadPoolExecutor(4, thread_name_prefix="manage")
        self._server = grpc.server(self._predicting, options=_OPTIONS)
        predictions = {
            "Predict": self._method(self._predict, predict_pb2.PredictRequest),
            "GetModelMetadata": self._method(
                self._metadata, get_model_metadata_pb2.GetModelMetadataRequest, self._managing
            ),
        }
        models = {
            "GetModelStatus": self._method(self._status, get_model_status_pb2.GetModelStatusRequest, self._managing),
            "HandleReloadConfigRequest": self._method(
                self._reload, model_management_pb2.ReloadConfigRequest, self._managing
            ),
        }
        for service, methods in (("PredictionService", predictions), ("ModelService", models)):
            handler = grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", methods)
            self._server.add_generic_rpc_handlers((handler,))
        if with_health:
            self._add_health()

    def bind(self, address: str) -> None:
        """Listen on "HOST:PORT" or "unix:PATH". Raises OSError when that is not possible."""
        try:
            bound = self._server.add_insecure_port(address)
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

    def _add_health(self) -> None:
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc

        servicer = health.HealthServicer()
        for name in ("", "ModelService", "PredictionService"):
            servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self._server)

    def _method(
        self, answer: Callable[[Any, grpc.ServicerContext], Any], request: Any, pool: ThreadPoolExecutor | None = None
    ) -> grpc.RpcMethodHandler:
        def behavior(message: Any, context: grpc.ServicerContext) -> Any:
            if not context.is_active():
                return None  # the caller's deadline passed while the request waited: nobody reads an answer
            try:
                return answer(message, context)
            except Exception as problem:
                error = as_serving_error(problem)
                if error.code is grpc.StatusCode.INTERNAL:
                    log.exception("Request failed")
            context.abort(error.code, error.message)

        if pool is not None:
            # Read by grpcio (grpc/_server.py): calls of this method go to this pool.
            behavior.experimental_thread_pool = pool  # type: ignore[attr-defined]
        return grpc.unary_unary_rpc_method_handler(behavior, request.FromString, lambda m: m.SerializeToString())

    def _predict(self, request: predict_pb2.PredictRequest, _: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        _need_spec(request)
        with lease(self._manager, request.model_spec) as leased:
            return predict(leased.model, leased.version.number, request, self._options)

    def _metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, _: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        _need_spec(request)
        with lease(self._manager, request.model_spec) as leased:
            return metadata(leased.model, leased.version.number, request)

    def _status(
        self, request: get_model_status_pb2.GetModelStatusRequest, _: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        _need_spec(request)
        spec = request.model_spec
        return model_status(self._manager, spec.name, spec.version.value if spec.HasField("version") else None)

    def _reload(
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        self._manager.reload(request.config, give_up=lambda: not context.is_active())
        return model_management_pb2.ReloadConfigResponse()


def _need_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
