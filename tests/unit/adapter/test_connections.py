"""Who is slow, silent or many keeps nobody else from an answer."""

import asyncio
import contextlib
import os
import socket
import threading
import time

import grpc
import httpx

from imaging import ImageInput
from serving.adapter import predictor
from serving.adapter.backend import Backend
from serving.adapter.connection import ConnectionLimits
from serving.adapter.limits import Limits
from serving.adapter.memory import Budget
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray, imaging_limits
from tests.unit.adapter.rest import PNG, whole
from tests.unit.adapter.waiting import wait_until
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\n"


def connect(it, sent=b""):
    connection = socket.create_connection(("127.0.0.1", it.ports.http), timeout=20)
    connection.sendall(sent)
    return connection


def told(connection):
    """The next answer on `connection`, head and body."""
    answer = b""
    while not whole(answer):
        more = connection.recv(65536)
        assert more, answer
        answer += more
    return answer


def answers(it):
    return httpx.post(f"{it.http}/v1/classify", content=gray(1), headers=PNG, trust_env=False).status_code


def served(model_server, limits=None, **connections):
    address = f"127.0.0.1:{model_server.port}"
    return adapter(address, limits, connections=ConnectionLimits(**connections))


def test_a_connection_that_says_nothing_is_closed(model_server):
    with served(model_server, header_seconds=0.2) as it, connect(it) as connection:
        assert connection.recv(100) == b""


def test_half_a_header_is_told_so_and_closed(model_server):
    with served(model_server, header_seconds=0.2, linger_seconds=0.2) as it:
        for sent in (b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"\r\n"):
            with connect(it, sent) as connection:
                assert told(connection).startswith(b"HTTP/1.1 408")
        # Byte for byte is no faster.
        with connect(it) as connection, contextlib.suppress(OSError):
            began = time.monotonic()
            while time.monotonic() < began + 10:
                connection.sendall(b"G")
                time.sleep(0.02)
            raise AssertionError("A request line that never ends was read for ever.")


def test_a_second_request_has_the_same_time_as_the_first_and_silence_between_them_is_none_of_it(model_server):
    with served(model_server, header_seconds=0.3) as it, connect(it, b"GET /livez HTTP/1.1\r\n\r\n") as connection:
        assert told(connection).startswith(b"HTTP/1.1 200")
        time.sleep(0.6)
        connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        assert told(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /livez")
        assert told(connection).startswith(b"HTTP/1.1 408")


def test_slow_bodies_and_silent_streams_take_no_place(model_server):
    with served(model_server, Limits(max_in_flight=2)) as it, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(it, HEAD + b"some")) for _ in range(8)]
        channel = stack.enter_context(grpc.insecure_channel(it.grpc))
        never = threading.Event()
        stack.callback(never.set)
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        silent = [stub.ClassifyStream(iter(never.wait, True), timeout=30) for _ in range(8)]
        time.sleep(0.3)
        assert answers(it) == 200
        assert stub.Classify(api.ClassifyRequest(image=gray(1)), timeout=20).version == 1
        assert len(slow) == len(silent) == 8


def test_images_of_streams_wait_for_a_place_and_all_get_their_answer(model_server):
    model_server.before = lambda method, _: method == "Predict" and time.sleep(0.01)
    with served(model_server, Limits(max_in_flight=2)) as it, grpc.insecure_channel(it.grpc) as channel:
        stub = classifier_pb2_grpc.ClassifierStub(channel)
        requests = [api.ClassifyStreamRequest(id=str(n), request=api.ClassifyRequest(image=gray(n))) for n in range(12)]
        streams = [stub.ClassifyStream(iter(requests), timeout=30) for _ in range(4)]
        for stream in streams:
            found = list(stream)
            assert sorted(int(one.id) for one in found) == list(range(12))
            assert all(one.response.version == 1 for one in found), found


def test_streams_have_a_bound(model_server):
    with served(model_server, Limits(max_streams=1)) as it, grpc.insecure_channel(it.grpc) as channel:
        stub, never = classifier_pb2_grpc.ClassifierStub(channel), threading.Event()

        def one_and_then_nothing():
            yield api.ClassifyStreamRequest(request=api.ClassifyRequest(image=gray(1)))
            never.wait()

        first = stub.ClassifyStream(one_and_then_nothing(), timeout=30)
        next(first)  # it has its place, before anybody else asks for one

        def refused():
            second = stub.ClassifyStream(iter([]), timeout=20)
            with contextlib.suppress(grpc.RpcError):
                list(second)
            return second.code() == grpc.StatusCode.RESOURCE_EXHAUSTED

        wait_until(refused)
        first.cancel()
        wait_until(lambda: not refused())
        never.set()


def test_a_body_has_a_lowest_rate_and_a_steady_one_is_read_to_its_end(model_server):
    limits = Limits(body_grace=0.3, min_body_rate=20_000)
    with served(model_server, limits, linger_seconds=0.2) as it:
        with connect(it, HEAD) as connection:
            deadline = time.monotonic() + 10
            with contextlib.suppress(OSError):
                while time.monotonic() < deadline:
                    connection.sendall(b"x" * 10)
                    time.sleep(0.01)
                raise AssertionError("A body of 1,000 bytes a second was read for ever.")
        with connect(it, HEAD) as connection:
            for _ in range(10):
                connection.sendall(b"x" * 10_000)
                time.sleep(0.05)  # longer in all than the grace
            assert told(connection).startswith(b"HTTP/1.1 422")


def test_bodies_have_a_sum(model_server):
    with served(model_server, Limits(max_held_bytes=50_000)) as it, connect(it, HEAD + b"x" * 45_000) as slow:
        wait_until(
            lambda: (
                httpx.post(f"{it.http}/v1/classify", content=b"x" * 6000, headers=PNG, trust_env=False).status_code
                == 429
            )
        )
        assert answers(it) == 200
        slow.close()
        wait_until(
            lambda: (
                httpx.post(f"{it.http}/v1/classify", content=b"x" * 6000, headers=PNG, trust_env=False).status_code
                == 422
            )
        )


def test_the_one_that_was_silent_for_longest_makes_room(model_server):
    with served(model_server, max_connections=3, max_crowded=1) as it, contextlib.ExitStack() as stack:
        asked = stack.enter_context(connect(it, b"GET /livez HTTP/1.1\r\n\r\n"))
        told(asked)
        silent = [stack.enter_context(connect(it)) for _ in range(2)]
        time.sleep(0.2)
        assert answers(it) == 200
        # Who never asked goes before who did.
        assert silent[0].recv(1) == b""
        asked.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        assert told(asked).startswith(b"HTTP/1.1 200")


def test_with_every_connection_busy_the_probes_are_answered_and_others_told(model_server):
    with served(model_server, max_connections=2, max_crowded=2) as it, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connect(it, HEAD + b"some"))
        time.sleep(0.2)
        assert answers(it) == 429
        assert httpx.get(f"{it.http}/livez", trust_env=False).status_code == 200
        assert httpx.get(f"{it.http}/readyz", trust_env=False).status_code == 200


def test_a_pipeline_has_a_bound(model_server):
    with served(model_server, max_pipelined=4) as it:
        with connect(it, b"GET /livez HTTP/1.1\r\n\r\n" * 4) as connection:
            found = b""
            while found.count(b"alive") < 4:
                more = connection.recv(10_000)
                assert more, found
                found += more
        with connect(it, b"GET /livez HTTP/1.1\r\n\r\n" * 50) as connection:
            found = b""
            while more := connection.recv(10_000):
                found += more
            assert found.count(b"alive") < 10


def test_what_was_asked_before_a_refusal_on_the_same_connection_writes_nothing_after_it(model_server, caplog):
    request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(model_server, linger_seconds=0.2) as it:
        with connect(it, request * 3 + b"nonsense\r\n\r\n") as connection:
            found = b""
            while more := connection.recv(10_000):
                found += more
        assert found.startswith(b"HTTP/1.1 400") and found.count(b"HTTP/1.1") == 1, found
        assert answers(it) == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_who_is_refused_in_the_middle_of_sending_reads_why_and_can_ask_again(model_server):
    with served(model_server, Limits(max_request_bytes=1000), linger_seconds=0.5) as it:
        with connect(
            it, b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n"
        ) as connection:
            for _ in range(3):
                connection.sendall(b"x" * 1_000_000)
            assert told(connection).startswith(b"HTTP/1.1 413")
            connection.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
            assert told(connection).startswith(b"HTTP/1.1 200")
        with connect(
            it, b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n"
        ) as connection:
            assert told(connection).startswith(b"HTTP/1.1 413")
            # The rest does not come.
            assert connection.recv(1) == b""


def test_large_pictures_wait_for_each_other_and_small_ones_do_not(model_server):
    limits = Limits(image=imaging_limits(max_pixels=1_000_000), max_pixels_at_once=1_000_000)
    with served(model_server, limits) as it:
        with httpx.Client(trust_env=False, timeout=60) as rest:
            files = [("images", (f"{n}.png", gray(n, size=900))) for n in range(4)]
            files += [("images", ("small.png", gray(9)))]
            results = rest.post(f"{it.http}/v1/classify", files=files).json()["results"]
        assert [one["version"] for one in results] == [1] * 5


def test_who_waits_too_long_for_a_picture_is_told_so_at_once_and_its_pixels_count_until_it_is_done(
    model_server, monkeypatch
):
    go_on, decode = threading.Event(), predictor._decode

    def slow(data, *more):
        if data == large:
            assert go_on.wait(20)
        return decode(data, *more)

    large, other, small = gray(1, size=900), gray(2, size=900), gray(3)
    monkeypatch.setattr(predictor, "_decode", slow)
    monkeypatch.setattr(predictor.os, "cpu_count", lambda: 4)
    limits = Limits(max_pixels_at_once=1_000_000, request_timeout=0.5)
    with served(model_server, limits) as it, httpx.Client(base_url=it.http, trust_env=False) as rest:

        def status(image):
            return rest.post("/v1/classify", content=image, headers=PNG, timeout=20).status_code

        assert status(large) == 504
        # Its thread goes on: another large one waits in vain, a small one does not.
        assert status(other) == 504
        assert status(small) == 200
        go_on.set()
        wait_until(lambda: status(other) == 200)


def test_what_gave_up_waiting_leaves_its_turn_to_the_next():
    async def told():
        budget = Budget(10)
        await budget.take(99)
        gone, next_ = asyncio.create_task(budget.take(8)), asyncio.create_task(budget.take(3))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        budget.give(99)
        await asyncio.wait_for(next_, 5)
        await asyncio.wait_for(budget.take(7), 5)

    asyncio.run(told())


def test_an_image_that_waits_for_a_thread_when_the_adapter_leaves_is_given_up(monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(predictor, "_decode", lambda *_: held.wait(20))

    async def story():
        async with Backend("127.0.0.1:1", "m") as backend:
            it = predictor.Predictor(backend, Limits())
            many = (os.cpu_count() or 1) + 1
            asked = [asyncio.create_task(it._decode_one(gray(1), ImageInput(8))) for _ in range(many)]
            await asyncio.sleep(0.1)
            it.close()
            done, _ = await asyncio.wait(asked, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            assert [one.cancelled() for one in done] == [True]
            held.set()
            await asyncio.wait(asked, timeout=10)

    asyncio.run(story())
