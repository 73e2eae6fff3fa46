"""How one gRPC call is worked on: in a thread, or in the event loop while a batch that it is part of runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import inference_pb2, predict_pb2

from serving.mailbox import Mailbox
from serving.model_server import predict
from serving.model_server.callers import Caller
from serving.model_server.errors import as_serving_error, invalid
from serving.model_server.handlers import Handlers
from serving.model_server.metrics import Metrics
from serving.model_server.model import Array, Plan

# Bytes, of a message or of arrays: to turn more than that into the other may take the event loop too long.
_SMALL = 256 * 1024
T = TypeVar("T")


class Threads:
    """A pool for what may take long, used from the event loop in which it is made."""

    def __init__(self, most: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._results = Mailbox()

    async def run(self, work: Callable[[Caller], T]) -> T:
        """What `work` returns or raises. Whoever is cancelled, since its client left, is a caller that is gone."""
        caller = Caller()

        def served() -> T:
            with caller.served():
                return work(caller)

        try:
            return await self._results.over(self._pool.submit(served))
        except asyncio.CancelledError:
            caller.leave()
            raise


class Calls:
    """Inference, counted and timed. Methods take a call's bytes and return the answer's; errors are Handlers'."""

    def __init__(self, handlers: Handlers, metrics: Metrics, threads: Threads) -> None:
        self._handlers, self._metrics, self._threads = handlers, metrics, threads
        self._batches = Mailbox()

    async def in_a_thread(self, api: str, answer: Callable[[Any], Any], request: Any, data: bytes) -> bytes:
        """`answer` to the message of class `request` in `data`."""

        def work(_: Caller) -> bytes:
            message = parsed(data, request)
            with self._counted(api, message):
                return _serialized(answer(message))

        return await self._threads.run(work)

    async def predict(self, data: bytes) -> bytes:
        """The answer to a PredictRequest. A small one takes no thread of its own but to run alone, without batching.

        To wake a thread for each, and to be woken by it, costs more than to read and answer it here (decision 22).
        """
        if len(data) > _SMALL:
            return await self.in_a_thread("Predict", self._handlers.predict, predict_pb2.PredictRequest, data)
        request, options = parsed(data, predict_pb2.PredictRequest), self._handlers.options
        with self._counted("Predict", request), self._handlers.lease(request) as leased:
            plan = predict.planned_before(leased.model, request, options)
            if plan is None:
                plan = await self._threads.run(lambda _: predict.planned(leased.model, request, options))
            if predict.read_at_once(request):
                arrays = predict.inputs(request)
            else:
                arrays = await self._threads.run(lambda _: predict.inputs(request))
            outputs = await self._outputs(plan, arrays)
            answer = partial(predict.answer, plan, outputs, leased.version.number, request, options)
            if sum(array.nbytes for array in outputs) > _SMALL:
                return await self._threads.run(lambda _: _serialized(answer()))
            return _serialized(answer())

    async def _outputs(self, plan: Plan, arrays: dict[str, Array]) -> list[Array]:
        if plan.batched:
            return await plan.run_batched(arrays, self._batches.over)
        return await self._threads.run(lambda _: plan.run(arrays))

    @contextlib.contextmanager
    def _counted(self, api: str, message: Any) -> Iterator[None]:
        started, status = time.perf_counter(), "OK"
        try:
            yield
        except asyncio.CancelledError:
            status = "CANCELLED"
            raise
        except Exception as problem:
            status = as_serving_error(problem).code.name
            raise
        finally:
            self._metrics.request(_model_name(message), api, "GRPC", status, time.perf_counter() - started)


def parsed(data: bytes, request: Any) -> Any:
    """The message of class `request`. Raises ServingError for bytes that are none."""
    try:
        return request.FromString(data)
    except (DecodeError, UnicodeDecodeError):
        raise invalid(f"The request is no {request.DESCRIPTOR.full_name} message.") from None


def _serialized(message: Message) -> bytes:
    return bytes(message.SerializeToString())


def _model_name(message: Any) -> str:
    if isinstance(message, inference_pb2.MultiInferenceRequest):
        return message.tasks[0].model_spec.name if message.tasks else ""
    return str(message.model_spec.name)
