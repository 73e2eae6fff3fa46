"""Tokens of calls over gRPC."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health

from serving.adapter import v2_grpc
from serving.adapter.access import Access, caller, still_known
from serving.adapter.refusals import Unauthenticated

# Answered to everybody, as over HTTP.
_OPEN = f"/{health.SERVICE_NAME}/"


class TokenCheck(grpc.aio.ServerInterceptor):
    """Refuses calls without a token that is known, for all services but health's."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_OPEN) or method in v2_grpc.OPEN:
            return handler
        metadata = {key: value for key, value in handler_call_details.invocation_metadata or ()}
        identify = partial(self._access.identify, metadata.get("authorization"))
        try:
            # A call's task begins with the interceptors, so what is set here is known to all that the call does.
            caller.set(identify())
        except Unauthenticated as refusal:
            return _refusing(handler, refusal)
        still_known.set(identify)
        return handler


def _refusing(handler: Any, refusal: Unauthenticated) -> Any:
    async def refuse(_: Any, context: grpc.aio.ServicerContext) -> None:
        await context.abort(refusal.code, str(refusal))

    # The kind that answers once reads one message, which is as well: the client is in the middle of sending it.
    kind = next(kind for kind in _KINDS if getattr(handler, kind))
    return handler._replace(request_deserializer=None, response_serializer=None, **{kind: refuse})


_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
