"""Whom gRPC's server takes first, when more calls wait than it takes in a turn of its event loop."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from serving.model_server.callers import deadline
from serving.model_server.errors import not_found
from serving.model_server.grpc_service import GrpcServer
from serving.model_server.metrics import Metrics
from serving.model_server.predict import PredictOptions

_FLOOD = 300


class Handlers:
    """Remembers the order in which calls are worked on."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.until: list[float | None] = []
        self.options = PredictOptions()

    def lease(self, request: Any) -> Any:
        self.order.append("Predict")
        self.until.append(deadline())
        raise not_found("no model here")

    def status(self, request: Any) -> Any:
        self.order.append("GetModelStatus")
        return get_model_status_pb2.GetModelStatusResponse()

    def metadata(self, request: Any) -> Any:
        self.order.append("GetModelMetadata")
        return get_model_metadata_pb2.GetModelMetadataResponse()

    def reload(self, request: Any, give_up: Any) -> Any:
        self.order.append("HandleReloadConfigRequest")
        return model_management_pb2.ReloadConfigResponse()

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace()


def started(handlers: Handlers) -> tuple[GrpcServer, str]:
    """A server and where it listens."""
    server = GrpcServer(handlers, Metrics(), 4, False)  # type: ignore[arg-type]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server.bind(address)
    server.start()
    return server, address


def test_the_work_on_a_call_knows_its_deadline_if_it_has_one() -> None:
    handlers = Handlers()
    server, address = started(handlers)
    with grpc.insecure_channel(address) as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        for timeout in (1000, None):
            with pytest.raises(grpc.RpcError):
                predict(b"", timeout=timeout)
    server.drain(0)
    known, unknown = handlers.until
    assert unknown is None
    assert known is not None
    # On its way gRPC rounds a timeout up, to three digits or so.
    assert 900 < known - time.monotonic() < 1100


def test_who_manages_the_server_does_not_wait_behind_a_flood_of_inference() -> None:
    handlers = Handlers()
    server, address = started(handlers)
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(20)
        held, hold = threading.Event(), threading.Event()

        def stand_still() -> None:
            held.set()
            assert hold.wait(60)

        def call(service: str, method: str, message: Any) -> Any:
            return channel.unary_unary(f"/tensorflow.serving.{service}/{method}").future(
                message.SerializeToString(), timeout=60
            )

        server._loop.call_soon_threadsafe(stand_still)
        assert held.wait(20)
        flood = [call("PredictionService", "Predict", predict_pb2.PredictRequest()) for _ in range(_FLOOD)]
        managing = [
            call("ModelService", "GetModelStatus", get_model_status_pb2.GetModelStatusRequest()),
            call("ModelService", "HandleReloadConfigRequest", model_management_pb2.ReloadConfigRequest()),
            call("PredictionService", "GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest()),
        ]
        time.sleep(1)  # for the calls to arrive; were it too short, they would come in this order all the same
        hold.set()
        for one in managing:
            one.result(60)
        assert all(one.exception(60).code() is grpc.StatusCode.NOT_FOUND for one in flood)
    server.drain(0)
    assert handlers.order.count("Predict") == _FLOOD
    places = {name: place for place, name in enumerate(handlers.order) if name != "Predict"}
    assert len(places) == 3
    assert max(places.values()) < _FLOOD / 2, places
