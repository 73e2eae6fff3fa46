"""Calls for which there is no room, refused before their message is read."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from serving.adapter.refusals import Overloaded
from serving.adapter.service import Service

Abort = Callable[[grpc.aio.ServicerContext, Overloaded], Awaitable[Any]]


class Room(grpc.aio.ServerInterceptor):
    """Refuses calls while no place is free; `counted` are those that take one, with the names they are counted under.

    `abort` tells the refusal.
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
