"""Asks an adapter over gRPC."""

import json
from dataclasses import dataclass

import google.protobuf  # noqa: F401  the generated code below needs it, and is not looked into by Pants
import grpc

from serving.client.errors import BadImage, ClientError, TooSlow, Unavailable, UnknownVersion
from serving.float32 import shortest
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

DEFAULT_TIMEOUT = 10.0  # seconds
_PUSHBACK = "grpc-retry-pushback-ms"
# A pod that leaves or is full says so; another try reaches the next one. Classifying twice changes nothing.
_RETRY = {
    "methodConfig": [
        {
            "name": [{"service": "trainyard.v1.Classifier"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}
_OPTIONS = [
    ("grpc.service_config", json.dumps(_RETRY)),
    # What is kept for another try; by default images over 256 KiB would get one try only.
    ("grpc.per_rpc_retry_buffer_size", 33 * 1024 * 1024),
    ("grpc.enable_http_proxy", 0),
    # Who waits for an adapter that is still starting notices it within a second or two.
    ("grpc.max_reconnect_backoff_ms", 2000),
]


@dataclass(frozen=True)
class Prediction:
    """The model's answer for one image; `scores` holds every class, most probable first."""

    label: str
    scores: dict[str, float]
    version: int


@dataclass(frozen=True)
class ServedModel:
    """What an adapter serves at one moment.

    `versions` maps each version to its state (START, LOADING, AVAILABLE, UNLOADING, END), `version_labels` "stable"
    and "previous" to their versions. The rest is the stable version's: its classes, and what it makes of an image:
    size in pixels, channels (1 gray, 3 colour), how an oblong one becomes square ("stretch", "pad", "crop") and the
    16-bit sample that is white. An adapter of an earlier version tells neither channels (0) nor the rest.
    """

    name: str
    versions: dict[int, str]
    version_labels: dict[str, int]
    labels: list[str]
    image_size: int
    channels: int = 0
    oblong: str = ""
    white: int = 0


class Client:
    """A connection to one adapter, to be used by any number of threads. Closes as a context manager.

    Arguments:
        address: HOST:PORT of its gRPC service, or of what ends TLS in front of it.
        tls: whether TLS is spoken, and the server has to have a certificate for HOST.
        authorities: PEM of those whose certificates count with TLS; the public ones by default.
    """

    def __init__(self, address: str, *, tls: bool = False, authorities: bytes | None = None) -> None:
        self.address, self._tls = address, tls
        if tls:
            credentials = grpc.ssl_channel_credentials(authorities)
            self._channel = grpc.secure_channel(address, credentials, options=_OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._stub = classifier_pb2_grpc.ClassifierStub(self._channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def classify(
        self,
        image: bytes,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Prediction:
        """Classify the PNG or JPEG file `image`, by the stable version unless another is chosen; `timeout` in seconds.

        Raises:
            BadImage, UnknownVersion, Unavailable: see serving.client.errors.
            ClientError: anything else that went wrong.
            ValueError: both a version and a label are chosen, or neither can exist.
        """
        if version is not None and version_label is not None:
            raise ValueError("Expected a version or a version_label. Received: both")
        if (version is not None and version < 1) or version_label == "":
            raise ValueError(f"Expected a version of 1 or more, or a label. Received: {version or version_label!r}")
        request = api.ClassifyRequest(image=image, version=version, version_label=version_label)
        try:
            response = self._stub.Classify(request, timeout=timeout)
        except grpc.RpcError as error:
            raise self._explained(error) from None
        return Prediction(
            label=response.label,
            scores={score.label: shortest(score.probability) for score in response.scores},
            version=response.version,
        )

    def model(self, timeout: float = DEFAULT_TIMEOUT) -> ServedModel:
        """What is being served right now.

        Raises:
            Unavailable, ClientError: as `classify` does.
        """
        try:
            response = self._stub.GetModel(api.GetModelRequest(), timeout=timeout)
        except grpc.RpcError as error:
            raise self._explained(error) from None
        return ServedModel(
            name=response.model,
            versions={version.version: version.state for version in response.versions},
            version_labels=dict(response.version_labels),
            labels=list(response.labels),
            image_size=response.image_size,
            channels=response.channels,
            oblong=response.oblong,
            white=response.white,
        )

    def _silence(self, details: str) -> str:
        if not self._tls:
            return f"No adapter answers at {self.address}; is it running, and does it want TLS (--tls)?"
        if "CERTIFICATE_VERIFY_FAILED" in details:
            return f"{self.address} has a certificate of an authority that is not known here (--ca FILE names it)."
        if "Hostname Verification Check failed" in details or "not verified for" in details:
            return f"{self.address} has a certificate for another name; give the address by that name."
        return (
            f"No adapter answers at {self.address} by TLS; is it running, and does it speak TLS (if not: --plaintext)?"
        )

    def _explained(self, error: grpc.RpcError) -> ClientError:
        details = error.details() or "no reason was given"
        pushback = dict(error.trailing_metadata() or ()).get(_PUSHBACK)
        match error.code():
            case grpc.StatusCode.INVALID_ARGUMENT:
                return BadImage(details)
            case grpc.StatusCode.NOT_FOUND:
                return UnknownVersion(details)
            case grpc.StatusCode.RESOURCE_EXHAUSTED if pushback in (None, "-1"):
                # Too many bytes, which no further try makes fewer; too many requests come with a time to wait.
                return BadImage(details)
            case grpc.StatusCode.UNAVAILABLE if pushback is None:
                # gRPC's own words are about sockets.
                return Unavailable(self._silence(details))
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.RESOURCE_EXHAUSTED:
                return Unavailable(details)
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return TooSlow(f"{self.address} did not answer in time.")
            case grpc.StatusCode.UNIMPLEMENTED:
                return ClientError(f"What answers at {self.address} is not an adapter; give its gRPC address.")
        return ClientError(f"{self.address} answered {error.code().name}: {details}")
