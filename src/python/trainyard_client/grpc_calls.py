"""What both gRPC clients share: how a channel is set up, requests and answers, and what an error means."""

import json
from dataclasses import dataclass

import google.protobuf  # noqa: F401  the generated code below needs it, and is not looked into by Pants
import grpc

from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard_client.answers import Prediction, ServedModel, check_choice
from trainyard_client.errors import (
    BY_PROXY,
    BadImage,
    ClientError,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnknownVersion,
)
from trainyard_client.float32 import shortest

_PUSHBACK = "grpc-retry-pushback-ms"
# A pod that leaves or is full says so; another try reaches the next one. Classifying twice changes nothing. gRPC waits
# a random time up to the backoff, so that clients that were turned away together do not come back together.
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
OPTIONS: list[tuple[str, object]] = [
    ("grpc.service_config", json.dumps(_RETRY)),
    # What is kept for another try; by default images over 256 KiB would get one try only.
    ("grpc.per_rpc_retry_buffer_size", 33 * 1024 * 1024),
    ("grpc.enable_http_proxy", 0),
    # Who waits for an adapter that is still starting notices it within a second or two.
    ("grpc.max_reconnect_backoff_ms", 2000),
]


def request_for(image: bytes, version: int | None, version_label: str | None) -> api.ClassifyRequest:
    """
    Raises:
        ValueError: the choice of a version is none.
    """
    check_choice(version, version_label)
    return api.ClassifyRequest(image=image, version=version, version_label=version_label)


def prediction_of(response: api.ClassifyResponse) -> Prediction:
    return Prediction(
        label=response.label,
        scores={score.label: shortest(score.probability) for score in response.scores},
        version=response.version,
    )


def model_of(response: api.GetModelResponse) -> ServedModel:
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


@dataclass(frozen=True)
class Peer:
    """Who is asked, for the sentences of errors."""

    address: str
    tls: bool

    def explained(self, error: grpc.RpcError) -> ClientError:
        details = error.details() or "no reason was given"
        # Pairs from a blocking call, and from an asynchronous one.
        pushback = dict(list(error.trailing_metadata() or ())).get(_PUSHBACK)
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
            # gRPC's own words for what was answered in HTTP's way, by something that is no gRPC service.
            case grpc.StatusCode.UNAUTHENTICATED if "http2 header with status: 401" in details:
                return Unauthenticated(BY_PROXY.format(self.address))
            case grpc.StatusCode.UNAUTHENTICATED:
                return Unauthenticated(f"{self.address} wants to know who asks: {details}")
            case grpc.StatusCode.UNIMPLEMENTED:
                return ClientError(f"What answers at {self.address} is not an adapter; give its gRPC address.")
        return ClientError(f"{self.address} answered {error.code().name}: {details}")

    def _silence(self, details: str) -> str:
        if not self.tls:
            return f"No adapter answers at {self.address}; is it running, and does it want TLS (--tls)?"
        if "CERTIFICATE_VERIFY_FAILED" in details:
            return f"{self.address} has a certificate of an authority that is not known here (--ca FILE names it)."
        if "Hostname Verification Check failed" in details or "not verified for" in details:
            return f"{self.address} has a certificate for another name; give the address by that name."
        return (
            f"No adapter answers at {self.address} by TLS; is it running, and does it speak TLS (if not: --plaintext)?"
        )
