"""What surrounds every call over gRPC: its name, and its span where traces are on."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from serving.adapter import request_ids, spans

_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Calls(grpc.aio.ServerInterceptor):
    """The outermost: what the others refuse has a name and a span too."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        metadata = {
            key: value for key, value in handler_call_details.invocation_metadata or () if isinstance(value, str)
        }
        # A call's task begins here, so what is set is known to all that it does.
        request_ids.begin(metadata.get(request_ids.HEADER))
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return handler
        kind = next(kind for kind in _KINDS if getattr(handler, kind))
        around = _around(getattr(handler, kind), handler_call_details.method, metadata)
        return handler._replace(**{kind: around})


def _around(answer: Any, method: str, metadata: dict[str, str]) -> Any:
    async def called(request: Any, context: grpc.aio.ServicerContext) -> Any:
        context.set_trailing_metadata(request_ids.metadata())
        with spans.called(method, metadata, context):
            answers = answer(request, context)
            if not hasattr(answers, "__aiter__"):
                return await answers
            async for response in answers:
                await context.write(response)

    return called
