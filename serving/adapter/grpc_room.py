"""Calls for which there is no room, refused before their message is read."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from serving.adapter import request_ids, spans
from serving.adapter.access import Access
from serving.adapter.grpc_intake import Let, Metadata, Tell
from serving.adapter.refusals import Overloaded, Refusal, Unauthenticated
from serving.adapter.service import Service

Abort = Callable[[grpc.aio.ServicerContext, Overloaded], Awaitable[Any]]


class Room(grpc.aio.ServerInterceptor):
    """Refuses calls while no place is free; `counted` are those that take one, with the names they are counted under.

    Most are refused at the door; here are those that came by it and found the places taken, and all where there are
    spans to record. `abort` tells the refusal.
    """

    def __init__(self, service: Service, counted: dict[str, str], abort: Abort) -> None:
        self._service, self._counted, self._abort = service, counted, abort

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        name = self._counted.get(handler_call_details.method)
        admission = self._service.admission
        if name is None or not admission.full or admission.draining.is_set():
            return await continuation(handler_call_details)

        async def refuse(_: Any, context: grpc.aio.ServicerContext) -> None:
            try:
                await self._service.refuse(name)
            except Overloaded as refusal:
                await self._abort(context, refusal)

        # Of the kind that reads its messages one by one, and reads none.
        return grpc.stream_unary_rpc_method_handler(refuse)


class FullDoor:
    """Lets calls in that are counted as `name` while there are places, and answers the others as `Room` would."""

    def __init__(self, service: Service, access: Access, name: str) -> None:
        self._service, self._access, self._name = service, access, name

    def look(self) -> Let:
        admission = self._service.admission
        if admission.draining.is_set() or spans.recording():
            return Let.IN
        if admission.full:
            return Let.OUT
        return Let.LATER if admission.spoken_for else Let.IN

    def entered(self) -> None:
        self._service.admission.expect()

    def refuse(self, metadata: Metadata, tell: Tell) -> None:
        told = {key: value for key, value in metadata if isinstance(value, str)}
        request_ids.begin(told.get(request_ids.HEADER))
        try:
            self._access.identify(told.get("authorization"))
        except Unauthenticated as refusal:
            tell(refusal.code, str(refusal), request_ids.metadata())
            return
        self._service.refuse_soon(self._name, lambda refusal: tell(refusal.code, str(refusal), pushback(refusal)))


def pushback(refusal: Refusal) -> Metadata:
    """What the end of a refused call says: its request's name, and in gRPC's own words how long to wait before the
    next try, or (-1) not to try again."""
    milliseconds = -1 if refusal.retry_after is None else refusal.retry_after * 1000
    return (("grpc-retry-pushback-ms", str(milliseconds)), *request_ids.metadata())
