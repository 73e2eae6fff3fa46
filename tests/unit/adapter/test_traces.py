"""What collectors get of requests, and that nobody pays for it where none is named."""

import contextlib
import os
import socket
import subprocess
import sys
import threading

import grpc
import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from cli.errors import UsageError
from serving.adapter.limits import Limits
from serving.adapter.tracing import traces
from tests.unit.adapter.collector import attributes, by_grpc, by_http
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG
from tests.unit.adapter.waiting import decoded, wait_until
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
OK, REFUSED = 0, 3


@pytest.fixture(autouse=True)
def none_told(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")


@pytest.fixture(params=[("http/protobuf", by_http), ("grpc", by_grpc)], ids=["http", "grpc"])
def collector(request, monkeypatch):
    protocol, collecting = request.param
    with collecting() as it:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", it.address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-of-ours=yes")
        yield it


@pytest.fixture
def by_way_of_http(monkeypatch):
    with by_http() as it:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", it.address)
        yield it


@contextlib.contextmanager
def listening_model_server(model_server):
    """What the model server's calls said of traces, by method."""
    heard = []

    def before(method, context):
        told = dict(context.invocation_metadata())
        heard.append((method, told.get("traceparent"), told.get("tracestate")))

    model_server.before = before
    yield heard


def test_a_request_over_rest_is_one_trace_with_decode_queue_and_model_and_goes_on_to_the_model_server(
    model_server, collector
):
    with (
        listening_model_server(model_server) as heard,
        adapter(f"127.0.0.1:{model_server.port}", Limits(max_gathered=32)) as it,
    ):
        headers = {"traceparent": TRACEPARENT, "tracestate": "a=b", "X-Request-Id": "mine-1", **PNG}
        assert httpx.post(f"{it.http}/v1/classify", content=gray(9), headers=headers).status_code == 200
        (request,) = collector.named("POST /v1/classify")
        (decode,), (queue,), (model,) = (collector.named(name) for name in ("decode", "queue", "model"))
    assert request.trace_id.hex() == TRACE and request.parent_span_id.hex() == PARENT
    for part in (decode, queue, model):
        assert (part.trace_id, part.parent_span_id) == (request.trace_id, request.span_id)
        assert request.start_time_unix_nano <= part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= request.end_time_unix_nano
    assert decode.end_time_unix_nano <= queue.start_time_unix_nano <= queue.end_time_unix_nano
    assert queue.end_time_unix_nano <= model.start_time_unix_nano
    told = attributes(request)
    assert (told["http.request.method"], told["http.response.status_code"]) == ("POST", 200)
    assert (told["trainyard.version"], told["trainyard.code"], told["trainyard.request_id"]) == ("1", "OK", "mine-1")
    assert [told for told in heard if told[0] == "Predict"] == [
        ("Predict", f"00-{TRACE}-{model.span_id.hex()}-01", "a=b")
    ]
    assert collector.service["service.name"] == "trainyard-adapter"
    assert collector.headers["x-of-ours"] == "yes"


def test_a_call_over_grpc_likewise_and_each_image_of_a_stream_is_a_span_of_its_own(model_server, by_way_of_http):
    with (
        listening_model_server(model_server) as heard,
        adapter(f"127.0.0.1:{model_server.port}") as it,
        grpc.insecure_channel(it.grpc) as channel,
    ):
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        metadata = (("traceparent", TRACEPARENT),)
        stub.Classify(api.ClassifyRequest(image=gray(9)), metadata=metadata)
        with pytest.raises(grpc.RpcError):
            stub.Classify(api.ClassifyRequest(image=b"none"), metadata=metadata)
        images = [api.ClassifyStreamRequest(request=api.ClassifyRequest(image=gray(n))) for n in range(3)]
        assert len(list(stub.ClassifyStream(iter(images), metadata=metadata))) == 3
        good, bad = by_way_of_http.named("trainyard.v1.Classifier/Classify", 2)
        (stream,) = by_way_of_http.named("trainyard.v1.Classifier/ClassifyStream")
        parts = by_way_of_http.named("image", 3)
        by_way_of_http.named("model", 4)
    assert {one.trace_id.hex() for one in by_way_of_http.spans} == {TRACE}
    assert [attributes(one)["rpc.grpc.status_code"] for one in (good, bad, stream)] == [OK, REFUSED, OK]
    assert {one.parent_span_id for one in parts} == {stream.span_id}
    assert {one.parent_span_id for one in by_way_of_http.named("decode", 5)} == {
        good.span_id,
        bad.span_id,
        *(one.span_id for one in parts),
    }
    assert len({told for told in heard if told[0] == "Predict"}) == 4


def test_requests_that_go_as_one_call_have_a_span_for_it_each_and_all_but_one_link_to_that(
    model_server, by_way_of_http
):
    first, go = threading.Event(), threading.Event()

    def before(method, context):
        if method == "Predict" and not first.is_set():
            first.set()
            go.wait(20)

    model_server.before = before
    with (
        decoded() as waiting,
        adapter(f"127.0.0.1:{model_server.port}", Limits(max_gathered=32)) as it,
        httpx.Client(base_url=it.http) as client,
    ):
        asking = [
            threading.Thread(target=client.post, args=("/v1/classify",), kwargs={"content": gray(n), "headers": PNG})
            for n in range(4)
        ]
        asking[0].start()
        assert first.wait(20)
        for one in asking[1:]:
            one.start()
        wait_until(lambda: len(waiting) == 4)
        go.set()
        for one in asking:
            one.join()
        together = [one for one in by_way_of_http.named("model", 4) if attributes(one)["trainyard.requests"] == 3]
        queues = by_way_of_http.named("queue", 4)
    assert len(together) == 3 and len({one.trace_id for one in together}) == 3
    (carrier,) = [one for one in together if not one.links]
    assert all(
        [(link.trace_id, link.span_id) for link in one.links] == [(carrier.trace_id, carrier.span_id)]
        for one in together
        if one is not carrier
    )
    assert len({one.trace_id for one in queues}) == 4


def test_what_is_refused_has_a_span_too_and_probes_and_metrics_have_none(model_server, by_way_of_http):
    with adapter(f"127.0.0.1:{model_server.port}") as it, httpx.Client(base_url=it.http) as client:
        for path in ("/livez", "/readyz", "/metrics", "/nothing"):
            client.get(path)
        client.get("/v1/model", headers={"traceparent": "00-nonsense", "Host": "elsewhere.example"})
        wait_until(lambda: len(by_way_of_http.spans) >= 2)
    assert sorted((one.name, attributes(one)["http.response.status_code"]) for one in by_way_of_http.spans) == [
        ("GET", 404),
        ("GET", 421),
    ]


def test_a_sender_that_wants_no_trace_gets_none(model_server, by_way_of_http):
    with adapter(f"127.0.0.1:{model_server.port}") as it:
        for flags in ("00", "01"):
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}", "X-Request-Id": flags, **PNG}
            httpx.post(f"{it.http}/v1/classify", content=gray(9), headers=headers)
        by_way_of_http.named("model")
    assert [attributes(one)["trainyard.request_id"] for one in by_way_of_http.named("POST /v1/classify")] == ["01"]


def test_the_standards_variables_name_the_service_and_take_samples(model_server, by_way_of_http, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "x-rays")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=clone")
    with adapter(f"127.0.0.1:{model_server.port}") as it:
        httpx.post(f"{it.http}/v1/classify", content=gray(9), headers=PNG)
        by_way_of_http.named("model")
    assert by_way_of_http.service.items() >= {"service.name": "x-rays", "deployment.environment": "clone"}.items()
    by_way_of_http.spans.clear()
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with adapter(f"127.0.0.1:{model_server.port}") as it:
        assert httpx.post(f"{it.http}/v1/classify", content=gray(9), headers=PNG).status_code == 200
    assert by_way_of_http.spans == []


def test_what_is_left_is_sent_at_the_end(model_server, by_way_of_http, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    with adapter(f"127.0.0.1:{model_server.port}") as it:
        httpx.post(f"{it.http}/v1/classify", content=gray(9), headers=PNG)
        assert by_way_of_http.spans == []
    assert [one.name for one in by_way_of_http.spans if one.name == "POST /v1/classify"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_collector_that_says_nothing_holds_up_neither_answers_nor_the_end(model_server, monkeypatch, protocol):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
        with adapter(f"127.0.0.1:{model_server.port}") as it:  # which fails if it does not end
            for _ in range(20):
                assert httpx.post(f"{it.http}/v1/classify", content=gray(9), headers=PNG).status_code == 200


def test_histograms_have_exemplars_for_who_accepts_openmetrics_and_are_the_same_for_the_rest(
    model_server, by_way_of_http
):
    openmetrics = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    with adapter(f"127.0.0.1:{model_server.port}") as it, httpx.Client(base_url=it.http) as client:
        client.post("/v1/classify", content=gray(255), headers={"traceparent": TRACEPARENT, **PNG})
        asked = client.get("/metrics", headers={"Accept": openmetrics})
        plain = client.get("/metrics")
    assert asked.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert plain.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"
    assert asked.text.endswith("# EOF\n") and "#" not in "".join(
        line for line in plain.text.splitlines() if not line.startswith("#")
    )
    families = {one.name: one for one in text_string_to_metric_families(asked.text)}
    for name in ("trainyard_request_seconds", "trainyard_certainty"):
        held = [one.exemplar for one in families[name].samples if one.exemplar]
        assert [one.labels["trace_id"] for one in held] == [TRACE]

    def values(families):
        return {
            (one.name, *sorted(one.labels.items())): one.value
            for family in families
            for one in family.samples
            if one.name.startswith("trainyard") and not one.name.endswith("_created")
        }

    # Whoever reads by names and labels finds the same in both, so alerts and drift do.
    assert values(families.values()) == values(text_families(plain.text))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "carrier-pigeon"}, "carrier-pigeon"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "expected http://"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'"),
    ],
)
def test_variables_that_cannot_be_used_are_named(monkeypatch, variables, said):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=said):
        traces()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_an_endpoint_nothing_of_it_is_loaded(variables):
    program = (
        "import asyncio, sys\n"
        "from serving.adapter.lifecycle import Options, running\n"
        "from serving.adapter.limits import Limits\n"
        "async def live():\n"
        "    async with running(Options('127.0.0.1:9', 'm', '127.0.0.1', 0, 0, Limits(), 0)):\n"
        "        pass\n"
        "asyncio.run(live())\n"
        "heavy = ('opentelemetry.sdk', 'opentelemetry.exporter', 'requests')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "[]", ended.stderr
