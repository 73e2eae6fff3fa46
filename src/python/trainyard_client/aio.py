"""Asks an adapter over gRPC, from asyncio."""

import grpc
import grpc.aio

from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep
from trainyard_client import grpc_calls
from trainyard_client.access import Access
from trainyard_client.answers import Prediction, ServedModel
from trainyard_client.client import DEFAULT_TIMEOUT


class AsyncClient:
    """A connection to one adapter, for one event loop; arguments and errors are those of `Client`."""

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
            self._channel = grpc.aio.secure_channel(address, credentials, options=access.options)
        else:
            self._channel = grpc.aio.insecure_channel(address, options=access.options)
        self._stub = classifier_pb2_grpc.ClassifierStub(self._channel)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close()

    async def classify(
        self,
        image: bytes,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Prediction:
        """As `Client.classify`."""
        request = grpc_calls.request_for(image, version, version_label)
        try:
            return grpc_calls.prediction_of(
                await self._stub.Classify(request, timeout=timeout, metadata=self._access.headers)
            )
        except grpc.RpcError as error:
            raise self._peer.explained(error) from None

    async def model(self, timeout: float = DEFAULT_TIMEOUT) -> ServedModel:
        """As `Client.model`."""
        try:
            return grpc_calls.model_of(
                await self._stub.GetModel(api.GetModelRequest(), timeout=timeout, metadata=self._access.headers)
            )
        except grpc.RpcError as error:
            raise self._peer.explained(error) from None
