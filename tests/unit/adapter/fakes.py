"""A model server that does as it is told, and an adapter in this process, so that every case can be brought about."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn
from unittest import mock

import grpc
import numpy as np

from serving.adapter import lifecycle
from serving.adapter.lifecycle import Options, Ports, running
from serving.adapter.limits import Limits
from trainyard.wire import tensorflow_serving_pb2 as wire  # pants: no-infer-dep

MODEL = "chest-xray"
LABELS = ("COVID", "Normal", "Pneumonia")


@dataclass(frozen=True)
class FakeVersion:
    image_size: int = 8
    labels: tuple[str, ...] = LABELS
    channels: int = 1
    # The outputs of the signature `imaging`; None for a model without it.
    told: tuple[str, ...] | None = None
    # Those of the signature `about`.
    about: tuple[str, ...] | None = None


def brightness(pixels: np.ndarray, classes: int) -> np.ndarray:
    """What a FakeVersion answers: [N, classes], the first class as probable as the image is bright."""
    bright = pixels.reshape(len(pixels), -1).mean(axis=1) / 255
    rest = np.repeat((1 - bright)[:, None] / (classes - 1), classes - 1, axis=1)
    return np.concatenate([bright[:, None], rest], axis=1).astype(np.float32)


@dataclass
class FakeModelServer:
    """TensorFlow Serving's answers, word for word where the adapter depends on them, for versions set by a test."""

    versions: dict[int, FakeVersion] = field(default_factory=lambda: {1: FakeVersion()})
    labels: dict[str, int] = field(default_factory=lambda: {"stable": 1})
    # The RPCs that came in, with the version they named; 0 for none.
    calls: list[tuple[str, int]] = field(default_factory=list)
    # Versions that could not be loaded, and why.
    broken: dict[int, str] = field(default_factory=dict)
    # Images in one Predict, at most: its batching parameters, or the model's own shape.
    most_rows: int = 1000
    # Called first by every RPC, to wait or to fail.
    before: Callable[[str, grpc.ServicerContext], None] = lambda method, context: None
    port: int = 0

    def predict(self, request: wire.PredictRequest, context: grpc.ServicerContext) -> wire.PredictResponse:
        number = self._begin("Predict", request.model_spec, context)
        version = self.versions[number]
        tensor = request.inputs["pixels"]
        shape = [dimension.size for dimension in tensor.tensor_shape.dim]
        if shape[1:] != [version.image_size, version.image_size, version.channels] or tensor.dtype != wire.DT_UINT8:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong shape: {shape}")
        if shape[0] > self.most_rows:
            details = f"Task size {shape[0]} is larger than maximum input batch size {self.most_rows}"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, details)
        pixels = np.frombuffer(tensor.tensor_content, np.uint8).reshape(shape)
        response = wire.PredictResponse()
        response.model_spec.version.value = number
        response.outputs["probabilities"].float_val.extend(brightness(pixels, len(version.labels)).ravel())
        response.outputs["labels"].string_val.extend([label.encode() for label in version.labels] * shape[0])
        return response

    def metadata(
        self, request: wire.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> wire.GetModelMetadataResponse:
        number = self._begin("GetModelMetadata", request.model_spec, context)
        signatures = wire.SignatureDefMap()
        pixels = signatures.signature_def["serving_default"].inputs["pixels"]
        version = self.versions[number]
        for side in (-1, version.image_size, version.image_size, version.channels):
            pixels.tensor_shape.dim.add(size=side)
        for signature, told in (("imaging", version.told), ("about", version.about)):
            if told is not None:
                signatures.signature_def[signature].method_name = "tensorflow/serving/predict"
                for name in told:
                    signatures.signature_def[signature].outputs[name].dtype = wire.DT_STRING
        response = wire.GetModelMetadataResponse(model_spec=wire.ModelSpec(name=MODEL))
        response.model_spec.version.value = number
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, request: wire.GetModelStatusRequest, context: grpc.ServicerContext) -> wire.GetModelStatusResponse:
        self.calls.append(("GetModelStatus", 0))
        self.before("GetModelStatus", context)
        if request.model_spec.name != MODEL or not self.versions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {request.model_spec.name}")
        response = wire.GetModelStatusResponse()
        for number in self.versions:
            response.model_version_status.add(version=number, state=wire.ModelVersionStatus.AVAILABLE)
        for number, reason in self.broken.items():
            status = wire.StatusProto(error_code=grpc.StatusCode.DATA_LOSS.value[0], error_message=reason)
            response.model_version_status.add(version=number, state=wire.ModelVersionStatus.END, status=status)
        return response

    def _begin(self, method: str, spec: wire.ModelSpec, context: grpc.ServicerContext) -> int:
        self.calls.append((method, spec.version.value))
        self.before(method, context)
        number = spec.version.value
        if spec.WhichOneof("version_choice") == "version_label":
            if spec.version_label not in self.labels:
                label = spec.version_label
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
            number = self.labels[spec.version_label]
        if spec.name != MODEL or number not in self.versions:
            details = f"Servable not found for request: Specific({spec.name}, {number})"
            context.abort(grpc.StatusCode.NOT_FOUND, details)
        return number

    @contextmanager
    def serving(self, address: str = "127.0.0.1:0") -> Iterator["FakeModelServer"]:
        server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
        predict = _handler(lambda *call: self.predict(*call), wire.PredictRequest)
        metadata = _handler(lambda *call: self.metadata(*call), wire.GetModelMetadataRequest)
        status = _handler(lambda *call: self.status(*call), wire.GetModelStatusRequest)
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "tensorflow.serving.PredictionService", {"Predict": predict, "GetModelMetadata": metadata}
                ),
                grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", {"GetModelStatus": status}),
            )
        )
        self.port = server.add_insecure_port(address)
        server.start()
        try:
            yield self
        finally:
            server.stop(None).wait()


def _handler(method: Callable[[Any, grpc.ServicerContext], Any], request: Any) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(
        method, request_deserializer=request.FromString, response_serializer=lambda message: message.SerializeToString()
    )


def fail(code: grpc.StatusCode, details: str) -> Callable[[str, grpc.ServicerContext], NoReturn]:
    """A `before` that makes every RPC fail."""

    def before(_: str, context: grpc.ServicerContext) -> NoReturn:
        context.abort(code, details)
        raise AssertionError

    return before


@dataclass(frozen=True)
class Adapter:
    """Where the adapter in this process listens; `stop` begins its drain and returns."""

    ports: Ports
    stop: Callable[[], None]

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.ports.grpc}"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"


@contextmanager
def adapter(backend: str, limits: Limits | None = None, model: str = MODEL, **more: Any) -> Iterator[Adapter]:
    """An adapter before the model server at `backend`, in a thread of its own; `more` are further Options."""
    options = Options(
        backend=backend,
        model=model,
        host="127.0.0.1",
        grpc_port=0,
        http_port=0,
        limits=limits or Limits(),
        drain_timeout=10,
        **more,
    )
    started: futures.Future[Adapter] = futures.Future()
    asked = threading.Event()

    async def live() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask_to_stop() -> None:
            asked.set()
            loop.call_soon_threadsafe(stop.set)

        async with running(options) as ports:
            started.set_result(Adapter(ports, ask_to_stop))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    it = started.result(timeout=30)
    try:
        yield it
    finally:
        with contextlib.ExitStack() as hurried:
            if not asked.is_set():
                # Its waits at the end are for clients that go on asking, and these have gone: 0.3 s in each test.
                hurried.enter_context(mock.patch.multiple(lifecycle, _SETTLING=0, _TELLING=0))
            it.stop()
            thread.join(timeout=30)
        assert not thread.is_alive(), "The adapter did not end."
