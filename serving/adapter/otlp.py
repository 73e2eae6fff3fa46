"""Traces by OpenTelemetry, sent to a collector by OTLP beside the event loop."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc.aio
from opentelemetry import context, trace
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cli.version import VERSION
from serving.adapter import request_ids
from serving.adapter.access import PROBES

_NAME = "trainyard-adapter"
# Seconds for what is left at the end; a collector that does not answer holds up no shutdown.
_CLOSING = 3.0
# Asked every few seconds by machines, and of no interest.
_UNTRACED = (*PROBES, "/metrics")
_UNTRACED_SERVICES = ("grpc.health.", "grpc.reflection.")


class Traces:
    """Records spans, as spans.Recorder wants it, and sends them.

    The SDK reads the other OTEL_* variables by itself: sampler, resource, headers, certificates, batches.
    """

    def __init__(self, grpc: bool, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({SERVICE_VERSION: VERSION})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: _NAME}))
        # At exit it would wait for a collector for half a minute; close() does not.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or _exporter(grpc)))
        self._tracer = self._provider.get_tracer(_NAME, VERSION)
        # Not OTEL_PROPAGATORS: baggage is the sender's, and the model server has no use for it.
        self._propagator = TraceContextTextMapPropagator()

    def close(self) -> None:
        """Sends what is left, within some seconds."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSING)

    def span(self, name: str) -> Any:
        return self._tracer.start_as_current_span(name, record_exception=False)

    def wait(self) -> "_Waiting":
        parent = context.get_current()
        return _Waiting(parent, self._tracer.start_span("queue", parent))

    @contextmanager
    def call(self, version: int, together: Sequence["_Waiting"]) -> Iterator[None]:
        """Each trace has a span for the call; the model server hears of one, and the others link to that."""
        for one in together:
            one.over()
        heard = next((one for one in together if one.queue.get_span_context().trace_flags.sampled), together[0])
        attributes: dict[str, Any] = {
            "rpc.system": "grpc",
            "rpc.service": "tensorflow.serving.PredictionService",
            "rpc.method": "Predict",
            "trainyard.version": version,
            "trainyard.requests": len(together),
        }

        def start(one: "_Waiting", links: Sequence[Link] = ()) -> Span:
            return self._tracer.start_span("model", one.parent, SpanKind.CLIENT, attributes, links)

        carrier = start(heard)
        link = [Link(carrier.get_span_context())]
        with ExitStack() as started:
            for span in [start(one, link) for one in together if one is not heard]:
                started.enter_context(trace.use_span(span, end_on_exit=True, record_exception=False))
            # Entered last, so it is the one that the call below happens in.
            started.enter_context(trace.use_span(carrier, end_on_exit=True, record_exception=False))
            yield

    def metadata(self) -> tuple[tuple[str, str], ...]:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return tuple(carrier.items())

    def ids(self) -> Mapping[str, str]:
        now = trace.get_current_span().get_span_context()
        if not now.is_valid:
            return {}
        return {"trace_id": trace.format_trace_id(now.trace_id), "span_id": trace.format_span_id(now.span_id)}

    def exemplar(self) -> dict[str, str] | None:
        now = trace.get_current_span().get_span_context()
        return dict(self.ids()) if now.is_valid and now.trace_flags.sampled else None

    def counted(self, method: str, version: str, code: str) -> None:
        span = trace.get_current_span()
        if not isinstance(span, ReadableSpan):
            return
        span.set_attributes({"trainyard.version": version, "trainyard.code": code})
        if name := request_ids.current.get():
            span.set_attribute("trainyard.request_id", name)
        if span.name == (span.attributes or {}).get("http.request.method"):
            span.update_name(method)

    @contextmanager
    def called(self, method: str, metadata: Mapping[str, str], call: grpc.aio.ServicerContext) -> Iterator[None]:
        """Around a gRPC call."""
        service, _, name = method.lstrip("/").partition("/")
        if service.startswith(_UNTRACED_SERVICES):
            yield
            return
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        with self._arrived(f"{service}/{name}", metadata, attributes) as span:
            try:
                yield
            finally:
                code = call.code() or 0
                number = code if isinstance(code, int) else code.value[0]
                span.set_attribute("rpc.grpc.status_code", number)
                if number in _FAILED:
                    span.set_status(StatusCode.ERROR)

    def http(self, app: ASGIApp) -> ASGIApp:
        """`app` with a span around each request."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] in _UNTRACED:
                await app(scope, receive, send)
                return
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            attributes = {"http.request.method": scope["method"], "url.scheme": scope["scheme"]}
            with self._arrived(scope["method"], headers, attributes) as span:

                async def told(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        if message["status"] >= 500:
                            span.set_status(StatusCode.ERROR)
                    await send(message)

                await app(scope, receive, told)

        return traced

    @contextmanager
    def _arrived(self, name: str, told: Mapping[str, str], attributes: Mapping[str, Any]) -> Iterator[Span]:
        parent = self._propagator.extract(told, context.Context())
        # What is refused is raised through here, and is no error of ours.
        with self._tracer.start_as_current_span(
            name, parent, SpanKind.SERVER, attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            yield span


# Of gRPC's codes those that are the server's mistake: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
# UNAVAILABLE, DATA_LOSS.
_FAILED = (2, 4, 12, 13, 14, 15)


class _Waiting:
    """A request's images in line: in which span they are, and the one of their waiting."""

    def __init__(self, parent: context.Context, queue: Span) -> None:
        self.parent, self.queue = parent, queue

    def over(self) -> None:
        if self.queue.is_recording():
            self.queue.end()


def _exporter(grpc: bool) -> SpanExporter:
    if grpc:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as ByGrpc

        return ByGrpc()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as ByHttp

    return ByHttp()
