"""gRPC's server with doors: what is let in, held and let out before anything of a call is read."""

import asyncio
import contextlib
import threading

import grpc
import grpc.aio
import httpx
import pytest
from grpc._cython import cygrpc

from serving.adapter.access import AccessOptions
from serving.adapter.admission import Admission
from serving.adapter.grpc_calls import Calls
from serving.adapter.grpc_intake import Let, Server
from serving.adapter.limits import Limits
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

METHOD = "/a.Service/Answer"


class Door:
    """Says what it is told to, and keeps whom it lets out."""

    def __init__(self, let=Let.IN):
        self.let, self.looks, self.inside, self.out = let, 0, 0, []

    def look(self):
        self.looks += 1
        return self.let

    def entered(self):
        self.inside += 1

    def refuse(self, metadata, tell):
        self.out.append((dict(metadata), tell))


@contextlib.asynccontextmanager
async def served(door):
    """A server whose one method answers with what it is sent, and a call of it."""

    async def answer(message, _):
        return message

    server = Server([], [("grpc.so_reuseport", 0)])
    server.use({METHOD: door})
    handlers = {"Answer": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_registered_method_handlers("a.Service", handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_retries", 0)]) as channel:
        yield server, channel.unary_unary(METHOD)
    await server.stop(0)


def test_who_is_let_out_is_told_so_when_the_door_likes_to_and_nothing_else_is_done_for_the_call():
    async def story():
        door = Door(Let.OUT)
        async with served(door) as (_, ask):
            calls = [ask(b"x", timeout=20, metadata=(("name", str(number)),)) for number in range(300)]
            while len(door.out) < len(calls):
                await asyncio.sleep(0.01)
            assert door.inside == 0
            assert {metadata["name"] for metadata, _ in door.out} == {str(number) for number in range(300)}
            for metadata, tell in door.out:
                tell(grpc.StatusCode.RESOURCE_EXHAUSTED, "no", (("said", metadata["name"]),))
            for number, call in enumerate(calls):
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await call
                assert (error.value.code(), error.value.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "no")
                assert dict(error.value.trailing_metadata())["said"] == str(number)

    asyncio.run(story())


def test_a_door_that_fails_ends_that_call_and_the_next_one_is_served(caplog):
    async def story():
        door = Door(Let.OUT)
        async with served(door) as (_, ask):
            door.out = None  # nobody can be kept there
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await ask(b"x", timeout=20)
            assert (error.value.code(), error.value.details()) == (grpc.StatusCode.INTERNAL, "The adapter failed.")
            door.let = Let.IN
            assert await ask(b"y", timeout=20) == b"y"

    asyncio.run(asyncio.wait_for(story(), 60))
    assert "AttributeError" in caplog.text


def test_who_is_to_come_later_waits_and_is_answered_in_the_end():
    async def story():
        door = Door(Let.LATER)
        async with served(door) as (_, ask):
            calls = [asyncio.ensure_future(ask(b"%d" % number, timeout=20)) for number in range(300)]
            while door.looks < 20:
                await asyncio.sleep(0.01)
            assert door.inside == 0 and not any(call.done() for call in calls)
            door.let = Let.IN
            assert await asyncio.gather(*calls) == [b"%d" % number for number in range(300)]
            assert door.inside == 300

    asyncio.run(asyncio.wait_for(story(), 60))


@pytest.mark.parametrize("let", [Let.LATER, Let.OUT])
def test_a_server_that_stops_waits_for_nobody_at_the_door_and_tells_nobody_afterwards(let):
    async def story():
        door = Door(let)
        async with served(door) as (server, ask):
            call = asyncio.ensure_future(ask(b"x", timeout=20))
            while not door.looks:
                await asyncio.sleep(0.01)
            await server.stop(0.1)
            with pytest.raises(grpc.aio.AioRpcError):
                await call
            for _, tell in door.out:
                tell(grpc.StatusCode.RESOURCE_EXHAUSTED, "too late", ())
            await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_server_that_stops_asks_grpc_for_no_more_calls_and_ends_none_that_is_gone(monkeypatch):
    """It would be asked of a server that is freed a moment later, which ends the process."""
    asked, ended, execute = [], [], cygrpc.execute_batch

    async def story():
        door = Door(Let.LATER)

        async def execute_batch(call, *arguments):
            # gRPC's own goes by this name too, for whatever call of whatever server.
            if any(call is tell.args[0] for _, tell in door.out):
                ended.append(call)
            await execute(call, *arguments)

        async with served(door) as (server, ask):
            call = asyncio.ensure_future(ask(b"x", timeout=20))
            while door.looks < 20:  # by then gRPC has been asked for as many as may come before it stops
                await asyncio.sleep(0.01)
            request = server._intake._request_registered_call
            monkeypatch.setattr(
                server._intake, "_request_registered_call", lambda name: asked.append(name) or request(name)
            )
            stopping = asyncio.ensure_future(server.stop(0.2))
            await asyncio.sleep(0.05)
            door.let = Let.OUT  # and is told so in the very turn in which the server is freed
            while not door.out and not stopping.done():
                await asyncio.sleep(0.001)
            monkeypatch.setattr(cygrpc, "execute_batch", execute_batch)
            stopping.add_done_callback(lambda _: [tell(grpc.StatusCode.ABORTED, "", ()) for _, tell in door.out])
            await stopping
            await asyncio.sleep(0.05)
            await asyncio.gather(call, return_exceptions=True)

    asyncio.run(asyncio.wait_for(story(), 60))
    assert asked == [] and ended == []


def test_a_place_is_kept_for_who_was_let_in_until_it_is_taken_and_for_a_moment_at_most():
    async def story():
        admission = Admission(2, 2)
        admission.expect()
        assert not admission.spoken_for
        admission.expect()
        assert admission.spoken_for and not admission.full
        async with admission.place():
            assert admission.spoken_for  # one taken, one kept
            while admission.spoken_for:
                await asyncio.sleep(0.005)
        assert not admission.spoken_for

    asyncio.run(asyncio.wait_for(story(), 20))


@contextlib.contextmanager
def full(model_server, **access):
    """An adapter whose only place is taken, and a way to ask it."""
    over, arrived, token = threading.Event(), threading.Event(), access.pop("token", None)
    mine = (("authorization", f"Bearer {token}"),) if token else ()

    def hold(method, _):
        if method == "Predict":
            arrived.set()
            over.wait(30)

    limits = Limits(max_in_flight=1, request_timeout=60)
    with (
        adapter(f"127.0.0.1:{model_server.port}", limits, access=AccessOptions(**access)) as it,
        grpc.insecure_channel(it.grpc, [("grpc.enable_retries", 0)]) as channel,
    ):
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        stub.Classify(api.ClassifyRequest(image=gray(1)), timeout=20, metadata=mine)
        model_server.before = hold
        held = stub.Classify.future(api.ClassifyRequest(image=gray(1)), timeout=60, metadata=mine)
        assert arrived.wait(10)
        try:
            yield it, channel
        finally:
            over.set()
            held.result(timeout=30)


def refusal(channel, method="/trainyard.v1.Classifier/Classify", metadata=()):
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(method)(b"\xff is no message", timeout=20, metadata=metadata)
    return error.value.code(), dict(error.value.trailing_metadata())


@pytest.mark.parametrize("method", ["/trainyard.v1.Classifier/Classify", "/inference.GRPCInferenceService/ModelInfer"])
def test_a_full_adapter_refuses_at_the_door(model_server, monkeypatch, method):
    seen, ask = [], Calls.intercept_service

    async def intercept(self, continuation, details):
        seen.append(details.method)
        return await ask(self, continuation, details)

    monkeypatch.setattr(Calls, "intercept_service", intercept)
    with full(model_server) as (it, channel):
        seen.clear()
        code, said = refusal(channel, method, (("x-request-id", "mine-1"),))
        with httpx.Client(base_url=it.http, trust_env=False) as rest:
            text = rest.get("/metrics").text
    assert method not in seen
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert said["x-request-id"] == "mine-1" and int(said["grpc-retry-pushback-ms"]) > 0
    name = method.rpartition("/")[2]
    assert f'trainyard_requests_total{{code="RESOURCE_EXHAUSTED",method="{name}",version="none"}} 1.0' in text
    assert f'trainyard_request_seconds_count{{method="{name}",version="none"}} 1.0' in text
    assert "trainyard_requests_turned_away_total 1.0" in text


def test_at_the_door_too_a_stranger_is_told_that_it_is_one(model_server, tmp_path):
    (tmp_path / "tokens").write_text("a-token-that-is-known-here\n")
    with full(model_server, token_file=tmp_path / "tokens", token="a-token-that-is-known-here") as (_, channel):
        assert refusal(channel)[0] == grpc.StatusCode.UNAUTHENTICATED
        known = (("authorization", "Bearer a-token-that-is-known-here"),)
        assert refusal(channel, metadata=known)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
