"""The gRPC face: trainyard.v1.Classifier with health and reflection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NoReturn

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from cli.version import VERSION
from serving.adapter import v2_grpc
from serving.adapter.access import Access, still_known
from serving.adapter.grpc_access import TokenCheck
from serving.adapter.grpc_calls import Calls
from serving.adapter.grpc_intake import Server
from serving.adapter.grpc_room import FullDoor, Room, pushback
from serving.adapter.limits import MEBIBYTE
from serving.adapter.predictor import Answer, Choice, Pixels
from serving.adapter.refusals import Refusal, TooSlow, Unavailable
from serving.adapter.service import Read, Service, refusing
from serving.adapter.tls import Tls
from serving.adapter.well_formed import WellFormed
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

NAME = api.DESCRIPTOR.services_by_name["Classifier"].full_name
# Beyond what an image may have, so that who sends one slightly too large gets our own refusal: gRPC's would end a
# whole stream.
_MESSAGE_SLACK = 4 * MEBIBYTE
# At once on one connection; the message of each may be on its way for as long as it takes.
_MOST_CALLS = 256
# Calls of all connections together that are not looked at yet.
_MOST_WAITING = 16_000
# Of the message of each; the rest is sent once the call is let in. More than this is memory that any flood can take.
_AHEAD_BYTES = 16 * 1024


class ClassifierServicer(classifier_pb2_grpc.ClassifierServicer):
    """trainyard.v1.Classifier on a Service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def Classify(self, request: api.ClassifyRequest, context: grpc.aio.ServicerContext) -> api.ClassifyResponse:
        try:
            seconds = context.time_remaining()
            answer = await self._service.classify("Classify", _reader(request), seconds)
            return self._response(answer)
        except Refusal as refusal:
            await self.abort(context, refusal)

    async def ClassifyStream(
        self, requests: AsyncIterator[api.ClassifyStreamRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[api.ClassifyStreamResponse]:
        """Answers in the order they are ready; reads no further than the images being worked on."""
        try:
            with refusing(), self._service.admission.open_stream():
                async for response in self._answers(requests):
                    yield response
        except Refusal as refusal:
            await self.abort(context, refusal)

    async def GetModel(self, _: api.GetModelRequest, context: grpc.aio.ServicerContext) -> api.GetModelResponse:
        try:
            served = await self._service.describe("GetModel")
        except Refusal as refusal:
            await self.abort(context, refusal)
        image = served.image
        return api.GetModelResponse(
            model=served.name,
            versions=[
                api.ModelVersion(version=one.number, state=one.state, error=one.error) for one in served.versions
            ],
            version_labels=served.version_labels,
            labels=served.labels,
            image_size=image.size if image else 0,
            channels=image.channels if image else 0,
            oblong=image.oblong if image else "",
            white=image.white if image else 0,
        )

    async def abort(self, context: grpc.aio.ServicerContext, refusal: Refusal) -> NoReturn:
        """Tells why, and whether and when to try again."""
        if isinstance(refusal, Unavailable) and self._service.admission.draining.is_set():
            await self._service.admission.hold()
        await context.abort(refusal.code, str(refusal), pushback(refusal))
        raise AssertionError("abort always raises")

    def _response(self, answer: Answer) -> api.ClassifyResponse:
        (outcome,) = answer.outcomes
        if isinstance(outcome, Refusal):
            raise outcome
        ranked = outcome.ranked()
        return api.ClassifyResponse(
            label=ranked[0][0],
            scores=[api.ClassScore(label=label, probability=probability) for label, probability in ranked],
            model=self._service.predictor.model,
            version=answer.version,
        )

    async def _answers(
        self, requests: AsyncIterator[api.ClassifyStreamRequest]
    ) -> AsyncIterator[api.ClassifyStreamResponse]:
        limits = self._service.limits
        incoming = aiter(requests)
        draining = asyncio.create_task(self._service.admission.draining.wait())
        reading: asyncio.Task[api.ClassifyStreamRequest | None] | None = asyncio.create_task(_next(incoming))
        working: set[asyncio.Task[api.ClassifyStreamResponse]] = set()
        # Set while no image of this stream waits for a place: one at a time does, so that few are kept in memory.
        placed = asyncio.Event()
        placed.set()
        place: asyncio.Task[Any] | None = None
        try:
            while reading or working:
                # With all hands full nothing is read, and the network makes the sender wait.
                waiting: set[asyncio.Task[Any]] = {*working}
                if reading and len(working) < limits.stream_concurrency:
                    if placed.is_set():
                        waiting |= {draining, reading}
                    else:
                        place = place if place and not place.done() else asyncio.create_task(placed.wait())
                        waiting |= {place}
                done, _ = await asyncio.wait(
                    waiting, timeout=limits.stream_idle_timeout, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    raise TooSlow(f"No image arrived for {limits.stream_idle_timeout:g} seconds.")
                for answered in done & working:
                    working.remove(answered)
                    yield answered.result()
                if reading in done:
                    message = reading.result()
                    if message is not None:
                        placed.clear()
                        working.add(asyncio.create_task(self._streamed(message, placed.set)))
                    reading = asyncio.create_task(_next(incoming)) if message is not None else None
                elif draining in done and reading:
                    reading.cancel()
                    reading = None
            if draining.done():
                raise Unavailable("The adapter is shutting down; send what got no answer to another one.")
        finally:
            for task in (draining, reading, place, *working):
                if task:
                    task.cancel()

    async def _streamed(
        self, message: api.ClassifyStreamRequest, placed: Callable[[], None]
    ) -> api.ClassifyStreamResponse:
        try:
            still_known.get()()
            answer = await self._service.classify_streamed("ClassifyStream", _reader(message.request), placed)
            return api.ClassifyStreamResponse(id=message.id, response=self._response(answer))
        except Refusal as refusal:
            error = api.Error(code=refusal.code.value[0], message=str(refusal))
            return api.ClassifyStreamResponse(id=message.id, error=error)


def _reader(request: api.ClassifyRequest) -> Read:
    async def read() -> tuple[Sequence[bytes | Pixels | Refusal], Choice]:
        chosen = request.WhichOneof("version_choice")
        return [request.image], Choice(
            version=request.version if chosen == "version" else None,
            label=request.version_label if chosen == "version_label" else None,
        )

    return read


async def _next(
    messages: AsyncIterator[api.ClassifyStreamRequest],
) -> api.ClassifyStreamRequest | None:
    return await anext(messages, None)


class GrpcServer:
    """The gRPC server with its three services."""

    def __init__(self, service: Service, access: Access, tls: Tls | None = None) -> None:
        self._tls = tls
        options = [
            # Two adapters on one port would each get a part of the requests, and nobody would know.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", service.limits.image.max_bytes + _MESSAGE_SLACK),
            # Notices a client that vanished without a word.
            ("grpc.keepalive_time_ms", 60_000),
            # By default who opens a connection and says nothing has two minutes, and an idle one stays for ever.
            ("grpc.server_handshake_timeout_ms", 10_000),
            ("grpc.max_connection_idle_ms", 620_000),
            ("grpc.max_concurrent_streams", _MOST_CALLS),
            # gRPC would raise what a client may send ahead, to megabytes a call, where the network seems to have room.
            ("grpc.http2.lookahead_bytes", _AHEAD_BYTES),
            ("grpc.http2.bdp_probe", 0),
            # Beyond as many that wait to be looked at gRPC ends new ones with a bare CANCELLED, and by default beyond
            # 1,000: a flood's clients would not learn that they may come again. Each takes up to some 80 KB.
            ("grpc.server.max_pending_requests", _MOST_WAITING),
            ("grpc.server.max_pending_requests_hard_limit", _MOST_WAITING),
            # Seconds that a call may wait so (gRPC's own: 30): who asked says how long it waits.
            ("grpc.server_max_unrequested_time_in_server", 3_600),
            # Headers: the same limit as over HTTP.
            ("grpc.absolute_max_metadata_size", 64 * 1024),
        ]
        classifier = ClassifierServicer(service)
        counted = {f"/{NAME}/Classify": "Classify", v2_grpc.INFER: "ModelInfer"}
        room = Room(service, counted, classifier.abort)
        self._server = Server([Calls(), TokenCheck(access), room, WellFormed()], options)
        self._server.use({method: FullDoor(service, access, name) for method, name in counted.items()})
        self._health = health.aio.HealthServicer()
        classifier_pb2_grpc.add_ClassifierServicer_to_server(classifier, self._server)
        v2_grpc.add(self._server, service, classifier.abort, VERSION)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if access.options.reflection:
            reflection.enable_server_reflection((NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    def bind(self, address: str) -> int:
        """Take the port in `address` (0: any free one) and return it.

        Raises:
            OSError: the port can't be had.
        """
        try:
            if self._tls:
                return self._server.add_secure_port(address, self._tls.credentials())
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(str(error)) from None

    async def start(self) -> None:
        await self.tell_health(False)
        await self._server.start()

    async def tell_health(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", NAME):
            await self._health.set(name, status)

    async def stop(self, grace: float) -> None:
        await self._server.stop(grace)
