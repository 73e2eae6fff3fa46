"""The model server, as TensorFlow Serving's gRPC API."""

import logging
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from contracts import about as facts
from imaging import ImageInput
from imaging import signature as imaging_signature
from serving.adapter import spans
from serving.adapter.refusals import Fault, Overloaded, TooSlow, Unavailable, UnknownVersion
from trainyard.wire import tensorflow_serving_pb2 as wire  # pants: no-infer-dep

logger = logging.getLogger(__name__)

INPUT = "pixels"
_SERVICE = "/tensorflow.serving"
_CHANNEL_OPTIONS = [
    # The model server answers whatever fits in memory, and a batch of images is larger than gRPC's 4 MiB.
    ("grpc.max_receive_message_length", -1),
    # It sits in the same pod: a restart should be noticed within a second, and no proxy stands between.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
]
# Seconds for a question that needs no inference.
_QUESTION_TIMEOUT = 3.0
# /models/m/1/ of "/models/m/1/saved_model.pb", and gs://bucket/ likewise.
_FOLDERS = re.compile(r"(?:\b[a-z]+:/)?/[^\s'\":;,]*/")
_MAX_REASON_CHARACTERS = 300


class StaleVersion(Exception):
    """The version is gone, or another model has taken its number: its description has to be asked for again."""


@dataclass(frozen=True)
class ServedVersion:
    """A loaded version and what images have to become for it."""

    number: int
    image: ImageInput
    # What it tells of itself; None if that is nothing, as of versions from before models did.
    about: facts.About | None = field(default=None, compare=False)


@dataclass(frozen=True)
class VersionState:
    """How far a version is: START, LOADING, AVAILABLE, UNLOADING or END, and why it failed if it did."""

    number: int
    state: str
    error: str


@dataclass(frozen=True)
class Scores:
    """One image's probabilities, by class, in the model's order."""

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]

    def ranked(self) -> list[tuple[str, float]]:
        """Classes with their probabilities, most probable first."""
        return sorted(zip(self.labels, self.probabilities, strict=True), key=lambda pair: -pair[1])


class Backend:
    """Asks one model on one model server. Use as an asynchronous context manager."""

    def __init__(self, address: str, model: str) -> None:
        self.model = model
        self._channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._predict = self._method("PredictionService/Predict", wire.PredictResponse)
        self._metadata = self._method("PredictionService/GetModelMetadata", wire.GetModelMetadataResponse)
        self._status = self._method("ModelService/GetModelStatus", wire.GetModelStatusResponse)

    async def __aenter__(self) -> "Backend":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    def _method(self, name: str, response: type[Message]) -> Any:
        return self._channel.unary_unary(
            f"{_SERVICE}.{name}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=response.FromString,
        )

    async def by_label(self, label: str) -> ServedVersion:
        """The version that carries `label` now.

        Raises:
            UnknownVersion: no version carries the label, or the one that does is not loaded.
            Unavailable, TooSlow, Fault: the model server does not answer as it should.
        """
        return await self._describe(wire.ModelSpec(name=self.model, version_label=label), f"labelled '{label}'")

    async def by_number(self, version: int) -> ServedVersion:
        """Version `version`; raises as `by_label` does."""
        spec = wire.ModelSpec(name=self.model)
        spec.version.value = version
        return await self._describe(spec, str(version))

    async def _describe(self, spec: wire.ModelSpec, which: str) -> ServedVersion:
        request = wire.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        try:
            response = await self._metadata(request, timeout=_QUESTION_TIMEOUT, metadata=spans.metadata())
        except grpc.aio.AioRpcError as error:
            # TensorFlow Serving calls an unknown label INVALID_ARGUMENT, an unknown version NOT_FOUND.
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise UnknownVersion(f"Model '{self.model}' has no version {which} loaded.") from None
            raise _refusal(error) from None
        # Not Unpack: it insists on the original's message name, and ours is a slice of it under another.
        signatures = wire.SignatureDefMap.FromString(response.metadata["signature_def"].value).signature_def
        number = response.model_spec.version.value
        try:
            return ServedVersion(number, _input(signatures), _about(signatures))
        except ValueError as error:
            logger.error("Version %d of '%s' has signatures that are not understood: %s", number, self.model, error)
            reason = str(error)[:_MAX_REASON_CHARACTERS]
            raise Fault(
                f"Version {number} of model '{self.model}' takes images that this adapter can't make; "
                f"serve it with the adapter it was trained with. {reason}."
            ) from None

    async def states(self) -> list[VersionState]:
        """Every version the model server knows of, by number; empty when it knows none."""
        request = wire.GetModelStatusRequest(model_spec=wire.ModelSpec(name=self.model))
        try:
            response = await self._status(request, timeout=_QUESTION_TIMEOUT, metadata=spans.metadata())
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return []
            raise _refusal(error) from None
        return [
            VersionState(
                one.version, wire.ModelVersionStatus.State.Name(one.state), _without_paths(one.status.error_message)
            )
            for one in sorted(response.model_version_status, key=lambda one: one.version)
        ]

    async def predict(self, version: ServedVersion, images: Sequence[bytes], timeout: float) -> list[Scores]:
        """One answer an image, in order; `images` are the pixels of each, as `version` takes them.

        `timeout` is in seconds.

        Raises:
            StaleVersion: `version` is not served any more, or not as it is described.
            Unavailable, Overloaded, TooSlow, Fault: the model server does not answer as it should.
        """
        request = wire.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.version.value = version.number
        tensor = request.inputs[INPUT]
        tensor.dtype = wire.DT_UINT8
        tensor.tensor_content = b"".join(images)
        for side in (len(images), *version.image.shape):
            tensor.tensor_shape.dim.add(size=side)
        try:
            response = await self._predict(request, timeout=timeout, metadata=spans.metadata())
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                logger.info("Version %d is stale: %s", version.number, error.details())
                raise StaleVersion from None
            raise _refusal(error) from None
        return _scores(response, len(images))


def _input(signatures: Mapping[str, wire.SignatureDef]) -> ImageInput:
    """What a version takes, by its signatures; raises ValueError for what can't be made here."""
    # A map of Protobuf makes what is not in it.
    told = signatures[imaging_signature.NAME].outputs if imaging_signature.NAME in signatures else ()
    shape = signatures["serving_default"].inputs[INPUT].tensor_shape
    return imaging_signature.read([dimension.size for dimension in shape.dim], told)


def _about(signatures: Mapping[str, wire.SignatureDef]) -> facts.About | None:
    """What a version tells of itself. One that can't be read is none: its answers are as good without."""
    if facts.NAME not in signatures:
        return None
    try:
        return facts.read(signatures[facts.NAME].outputs)
    except ValueError:
        return None


def _scores(response: wire.PredictResponse, images: int) -> list[Scores]:
    probabilities = response.outputs["probabilities"]
    labels = response.outputs["labels"].string_val
    # Typed values by default, raw ones with --enable_serialization_as_tensor_content.
    values = tuple(probabilities.float_val)
    if not values:
        values = tuple(value for (value,) in struct.iter_unpack("<f", probabilities.tensor_content))
    if not values or len(values) != len(labels) or len(values) % images:
        logger.error("Unexpected outputs: %d probabilities, %d labels, %d images", len(values), len(labels), images)
        raise Fault("The answer has the wrong shape.")
    if not all(map(math.isfinite, values)):
        logger.error("The model answered %s", values)
        raise Fault("The answer contains NaN or infinity.")
    classes = len(values) // images
    names = [label.decode("utf-8", "replace") for label in labels]
    return [
        Scores(tuple(names[start : start + classes]), values[start : start + classes])
        for start in range(0, len(values), classes)
    ]


def _without_paths(message: str) -> str:
    """The first line of the model server's words, files by their name alone: where they lie is nobody's business."""
    line = message.strip().partition("\n")[0]
    return _FOLDERS.sub("", line)[:_MAX_REASON_CHARACTERS]


def _refusal(error: grpc.aio.AioRpcError) -> Exception:
    """What to tell the client; the model server's own words (paths, shapes) go to the log alone."""
    match error.code():
        case grpc.StatusCode.UNAVAILABLE if "queue" in (error.details() or ""):
            # A full batching queue is UNAVAILABLE in TensorFlow Serving.
            return Overloaded("The model server has too many requests waiting; try again shortly.")
        case grpc.StatusCode.UNAVAILABLE:
            return Unavailable("The model server can't be reached; try again shortly.")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded("The model server has too many requests waiting; try again shortly.")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return TooSlow("The model server did not answer in time.")
        case grpc.StatusCode.CANCELLED:
            return Unavailable("The model server went away during the request; try again shortly.")
    logger.error("The model server answered %s: %s", error.code(), error.details())
    return Fault("The model server failed on this request.")
