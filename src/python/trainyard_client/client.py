"""Asks an adapter over gRPC."""

import grpc

from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep
from trainyard_client import grpc_calls
from trainyard_client.access import Access
from trainyard_client.answers import Prediction, ServedModel

DEFAULT_TIMEOUT = 10.0  # seconds


class Client:
    """A connection to one adapter, to be used by any number of threads. Closes as a context manager.

    Arguments:
        address: HOST:PORT of its gRPC service, or of what ends TLS in front of it.
        tls: whether TLS is spoken, and the server has to have a certificate for HOST.
        authorities: PEM of those whose certificates count with TLS; the public ones by default.
        access: a token and whatever else the adapter, or a proxy before it, wants to see; with authorities in it, TLS
            is spoken.
    """

    def __init__(
        self, address: str, *, tls: bool = False, authorities: bytes | None = None, access: Access | None = None
    ) -> None:
        access = access or Access()
        tls = tls or access.authorities is not None
        self.address = address
        self._peer = grpc_calls.Peer(address, tls)
        self._access = access
        if tls:
            credentials = access.credentials(authorities)
            self._channel = grpc.secure_channel(address, credentials, options=access.options)
        else:
            self._channel = grpc.insecure_channel(address, options=access.options)
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
            BadImage, UnknownVersion, Unavailable: see trainyard_client.errors.
            ClientError: anything else that went wrong.
            ValueError: both a version and a label are chosen, or neither can exist.
        """
        request = grpc_calls.request_for(image, version, version_label)
        try:
            return grpc_calls.prediction_of(
                self._stub.Classify(request, timeout=timeout, metadata=self._access.headers)
            )
        except grpc.RpcError as error:
            raise self._peer.explained(error) from None

    def model(self, timeout: float = DEFAULT_TIMEOUT) -> ServedModel:
        """What is being served right now.

        Raises:
            Unavailable, ClientError: as `classify` does.
        """
        try:
            return grpc_calls.model_of(
                self._stub.GetModel(api.GetModelRequest(), timeout=timeout, metadata=self._access.headers)
            )
        except grpc.RpcError as error:
            raise self._peer.explained(error) from None
