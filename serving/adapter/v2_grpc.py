"""The Open Inference Protocol over gRPC: inference.GRPCInferenceService."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from serving.adapter.predictor import Choice, Pixels
from serving.adapter.refusals import BadRequest, Refusal
from serving.adapter.service import Service
from serving.adapter.v2_rest import check_ready
from serving.adapter.v2_tensors import (
    EXTENSIONS,
    PLATFORM,
    SERVER,
    Output,
    Tensor,
    check_model,
    choice_of,
    elements,
    images_of,
    inputs_told,
    outputs_of,
    outputs_told,
    versions_told,
)
from trainyard.wire import open_inference_pb2 as wire  # pants: no-infer-dep

# The standard's own name; the messages' package is ours (src/proto/trainyard/wire).
NAME = "inference.GRPCInferenceService"
# Answered to everybody, as /v2/health is.
OPEN = (f"/{NAME}/ServerLive", f"/{NAME}/ServerReady")
INFER = f"/{NAME}/ModelInfer"
Abort = Callable[[grpc.aio.ServicerContext, Refusal], Awaitable[Any]]


def add(server: grpc.aio.Server, service: Service, abort: Abort, version: str) -> None:
    """Gives `server` the service's methods; what they refuse is told by `abort`."""
    methods = {
        "ServerLive": (_Methods.live, wire.ServerLiveRequest),
        "ServerReady": (_Methods.ready, wire.ServerReadyRequest),
        "ModelReady": (_Methods.model_ready, wire.ModelReadyRequest),
        "ServerMetadata": (_Methods.server, wire.ServerMetadataRequest),
        "ModelMetadata": (_Methods.model, wire.ModelMetadataRequest),
        "ModelInfer": (_Methods.infer, wire.ModelInferRequest),
    }
    own = _Methods(service, version)

    def handler(answer: Any, request: Any) -> grpc.RpcMethodHandler:
        async def answered(message: Any, context: grpc.aio.ServicerContext) -> Any:
            try:
                return await answer(own, message, context)
            except Refusal as refusal:
                await abort(context, refusal)

        return grpc.unary_unary_rpc_method_handler(
            answered,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    made = {name: handler(*method) for name, method in methods.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, made),))
    # Registered, so that it can have a door; each that is costs every call a little.
    infer = INFER.rpartition("/")[2]
    server.add_registered_method_handlers(NAME, {infer: made[infer]})


class _Methods:
    def __init__(self, service: Service, version: str) -> None:
        self._service, self._version = service, version
        self._model = service.predictor.model

    async def live(self, _: wire.ServerLiveRequest, __: grpc.aio.ServicerContext) -> wire.ServerLiveResponse:
        return wire.ServerLiveResponse(live=True)

    async def ready(self, _: wire.ServerReadyRequest, __: grpc.aio.ServicerContext) -> wire.ServerReadyResponse:
        return wire.ServerReadyResponse(ready=await self._is_ready(""))

    async def model_ready(self, asked: wire.ModelReadyRequest, _: grpc.aio.ServicerContext) -> wire.ModelReadyResponse:
        check_model(asked.name, self._model)
        choice_of(asked.version)
        return wire.ModelReadyResponse(ready=await self._is_ready(asked.version))

    async def server(self, _: wire.ServerMetadataRequest, __: grpc.aio.ServicerContext) -> wire.ServerMetadataResponse:
        return wire.ServerMetadataResponse(name=SERVER, version=self._version, extensions=EXTENSIONS)

    async def model(self, asked: wire.ModelMetadataRequest, _: grpc.aio.ServicerContext) -> wire.ModelMetadataResponse:
        check_model(asked.name, self._model)
        if asked.version:
            await check_ready(self._service, asked.version)
        served = await self._service.describe("ModelMetadata")
        response = wire.ModelMetadataResponse(name=self._model, versions=versions_told(served), platform=PLATFORM)
        for name, datatype, shape in inputs_told(served):
            response.inputs.add(name=name, datatype=datatype, shape=shape)
        for name, datatype, shape in outputs_told(served):
            response.outputs.add(name=name, datatype=datatype, shape=shape)
        return response

    async def infer(self, asked: wire.ModelInferRequest, context: grpc.aio.ServicerContext) -> wire.ModelInferResponse:
        async def read() -> tuple[Sequence[bytes | Pixels | Refusal], Choice]:
            check_model(asked.model_name, self._model)
            choice = choice_of(asked.model_version)
            return images_of(_tensors(asked), self._service.limits.max_images), choice

        answer = await self._service.classify("ModelInfer", read, context.time_remaining())
        outputs = outputs_of(answer, [one.name for one in asked.outputs])
        response = wire.ModelInferResponse(model_name=self._model, model_version=str(answer.version), id=asked.id)
        for output in outputs:
            told = response.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
            # As the client sends, so it is answered.
            if asked.raw_input_contents:
                response.raw_output_contents.append(output.raw())
            else:
                _fill(told.contents, output)
        return response

    async def _is_ready(self, version: str) -> bool:
        try:
            await check_ready(self._service, version)
        except Refusal:
            return False
        return True


def _tensors(asked: wire.ModelInferRequest) -> list[Tensor]:
    raw = list(asked.raw_input_contents)
    if raw and len(raw) != len(asked.inputs):
        raise BadRequest(f"Expected raw_input_contents for each of the {len(asked.inputs)} inputs, or for none.")
    return [_tensor(one, raw[number] if raw else None) for number, one in enumerate(asked.inputs)]


def _tensor(one: wire.ModelInferRequest.InferInputTensor, raw: bytes | None) -> Tensor:
    data: list[bytes | Refusal]
    if one.datatype == "BYTES":
        data = elements(raw) if raw is not None else list(one.contents.bytes_contents)
    elif raw is not None:
        data = [raw]
    else:
        try:
            data = [bytes(one.contents.uint_contents)]
        except ValueError:
            raise BadRequest(f"The input '{one.name[:40]}' holds numbers over 255.") from None
    return Tensor(one.name, one.datatype, tuple(one.shape), data)


def _fill(contents: wire.InferTensorContents, output: Output) -> None:
    if output.datatype == "FP32":
        contents.fp32_contents.extend(float(value) for value in output.values)
    else:
        contents.bytes_contents.extend(str(value).encode() for value in output.values)
