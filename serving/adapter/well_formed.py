"""gRPC messages that can't be read are the sender's mistake: grpcio itself would tell of a class and a failure here."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from serving.adapter.refusals import BadRequest

_SAID = "The message can't be read: it is none of this method's, or cut off."


class _Malformed:
    pass


class WellFormed(grpc.aio.ServerInterceptor):
    """Answers INVALID_ARGUMENT to what is no message of a method's, for all services."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        handler = await continuation(handler_call_details)
        return handler and _checked(handler)


def _checked(handler: Any) -> Any:
    read = handler.request_deserializer

    def deserialize(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return _Malformed()

    replaced: dict[str, Any] = {"request_deserializer": deserialize}
    if handler.unary_unary:
        replaced["unary_unary"] = _one(handler.unary_unary)
    elif handler.unary_stream:
        replaced["unary_stream"] = _one_to_many(handler.unary_stream)
    elif handler.stream_stream:
        replaced["stream_stream"] = _many(handler.stream_stream)
    return handler._replace(**replaced)


def _one(answer: Any) -> Any:
    async def checked(request: Any, context: grpc.aio.ServicerContext) -> Any:
        if isinstance(request, _Malformed):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _SAID)
        return await answer(request, context)

    return checked


def _one_to_many(answer: Any) -> Any:
    async def checked(request: Any, context: grpc.aio.ServicerContext) -> Any:
        if isinstance(request, _Malformed):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _SAID)
        # One that writes by itself answers nothing to iterate over.
        answers = answer(request, context)
        if hasattr(answers, "__aiter__"):
            async for response in answers:
                await context.write(response)
        else:
            await answers

    return checked


def _many(answer: Any) -> Any:
    async def checked(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> None:
        try:
            answers = answer(_read(requests), context)
            if hasattr(answers, "__aiter__"):
                async for response in answers:
                    await context.write(response)
            else:
                await answers
        except BadRequest as refusal:
            await context.abort(refusal.code, str(refusal))

    return checked


async def _read(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        if isinstance(request, _Malformed):
            raise BadRequest(_SAID)
        yield request
