"""With every place taken: refusals are paced, and told before there is anything to read."""

import asyncio
import contextlib
import socket
import threading

import grpc
import httpx
import pytest

from serving.adapter.limits import Limits
from serving.adapter.refusing import Pace
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep


def told(count):
    """When each of so many refusals that come at one moment may be told: seconds after it, in order."""

    async def all_told():
        loop, pace = asyncio.get_running_loop(), Pace()
        began = loop.time()

        async def one():
            await pace.wait()
            return loop.time() - began

        return await asyncio.gather(*(one() for _ in range(count)))

    return asyncio.run(all_told())


def test_one_refusal_waits_a_little_and_many_are_spread():
    slack = 0.01  # a loop's clock is read twice, and it may wake a little early
    assert told(1)[0] >= 0.1 - slack
    # A busy machine wakes some too late, so one of them may overtake another; none comes before its turn.
    assert all(time >= 0.1 + turn / 300 - slack for turn, time in enumerate(sorted(told(60))))


def test_what_is_too_much_to_keep_is_refused_at_once():
    async def story():
        pace = Pace()
        kept = [asyncio.create_task(pace.wait()) for _ in range(512)]
        await asyncio.sleep(0)
        with pytest.raises(StopIteration):  # it ends without waiting for anything
            pace.wait().send(None)
        for one in kept:
            one.cancel()
        await asyncio.gather(*kept, return_exceptions=True)
        assert pace.wait().send(None) is not None

    asyncio.run(story())


@contextlib.contextmanager
def full(model_server, seconds=20):
    """An adapter whose only place is taken, for so long at most."""
    over = threading.Event()
    limits = Limits(max_in_flight=1, request_timeout=seconds)
    with adapter(f"127.0.0.1:{model_server.port}", limits) as it, grpc.insecure_channel(it.grpc) as ch:
        classifier_pb2_grpc.ClassifierStub(ch).Classify(api.ClassifyRequest(image=gray(1)), timeout=20)
        arrived = threading.Event()

        def hold(method, _):
            if method == "Predict":
                arrived.set()
                over.wait(seconds)

        model_server.before = hold
        asked = api.ClassifyRequest(image=gray(1))
        held = classifier_pb2_grpc.ClassifierStub(ch).Classify.future(asked, timeout=seconds)
        assert arrived.wait(10)
        try:
            yield it, ch
        finally:
            over.set()
            assert held.result(timeout=20).version == 1


@pytest.mark.parametrize("method", ["/trainyard.v1.Classifier/Classify", "/inference.GRPCInferenceService/ModelInfer"])
def test_over_grpc_the_message_is_not_waited_for(model_server, method):
    never = threading.Event()
    with full(model_server) as (_, channel):
        call = channel.stream_unary(method).future(iter(never.wait, True), timeout=20)
        with pytest.raises(grpc.RpcError) as error:
            call.result(timeout=20)
        never.set()
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(dict(error.value.trailing_metadata())["grpc-retry-pushback-ms"]) > 0


def test_of_thousands_of_calls_at_one_moment_each_learns_that_it_may_come_again(model_server):
    # One connection has so many calls at once at most, and a client's own library holds back the others.
    own = [("grpc.use_local_subchannel_pool", 1)]
    with full(model_server, seconds=200) as (it, _), contextlib.ExitStack() as stack:
        stubs = [
            classifier_pb2_grpc.ClassifierStub(stack.enter_context(grpc.insecure_channel(it.grpc, own)))
            for _ in range(20)
        ]
        asked = [
            stub.Classify.future(api.ClassifyRequest(image=b"x"), timeout=100) for _ in range(250) for stub in stubs
        ]
        codes = {call.exception().code() for call in asked}
    assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_of_a_message_that_nobody_has_looked_at_little_is_taken(model_server):
    """Else a flood of large messages takes all memory while it waits."""
    with full(model_server) as (it, _):
        host, port = it.grpc.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            # HTTP/2's preface, and settings without any (RFC 9113, 3.4).
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
            answered = connection.makefile("rb")
            head = answered.read(9)
            settings = answered.read(int.from_bytes(head[:3], "big"))
    assert head[3] == 4
    told = {
        int.from_bytes(settings[at : at + 2], "big"): int.from_bytes(settings[at + 2 : at + 6], "big")
        for at in range(0, len(settings), 6)
    }
    initial_window_size = 4
    assert told[initial_window_size] == 16 * 1024


def test_what_takes_no_place_is_answered(model_server):
    with full(model_server) as (_, channel):
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        assert stub.GetModel(api.GetModelRequest(), timeout=20).model


@pytest.mark.parametrize(
    ("path", "counted"),
    [
        ("/v1/classify", "POST /v1/classify"),
        ("/v1/models/m/classify", "POST /v1/classify"),
        ("/v1/models/m/explain", "POST /v1/explain"),
        ("/v2/models/m/infer", "POST /v2/infer"),
    ],
)
def test_over_http_each_is_counted_as_what_it_asked_for(model_server, path, counted):
    with full(model_server) as (it, _), httpx.Client(base_url=it.http, trust_env=False) as rest:
        assert rest.post(path, content=b"x").status_code == 429
        refused = [
            line
            for line in rest.get("/metrics").text.splitlines()
            if 'requests_total{code="RESOURCE_EXHAUSTED"' in line
        ]
    assert [line for line in refused if f'method="{counted}"' in line and line.endswith(" 1.0")] == refused != []
