"""An adapter that leaves answers what it took on, and tells the rest to ask another one."""

import asyncio
import threading
import time
from types import SimpleNamespace

import grpc

from serving.adapter import lifecycle
from serving.adapter.admission import Admission
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep


def test_calls_that_come_while_it_leaves_are_answered_or_told_to_go_elsewhere_and_none_is_cancelled(model_server):
    model_server.before = lambda method, _: method == "Predict" and time.sleep(0.01)
    answered, refused, over = [], [], threading.Event()

    def ask(address):
        # As it is on the wire: without a client's own further tries.
        with grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel:
            stub = classifier_pb2_grpc.ClassifierStub(channel)
            while not over.is_set():
                try:
                    answered.append(stub.Classify(api.ClassifyRequest(image=gray(7)), timeout=20).version)
                except grpc.RpcError as error:
                    refused.append((error.code(), error.details()))
                    if "connect" in error.details():
                        return

    with adapter(f"127.0.0.1:{model_server.port}") as it:
        clients = [threading.Thread(target=ask, args=(it.grpc,)) for _ in range(6)]
        for client in clients:
            client.start()
        while len(answered) < 30:
            time.sleep(0.01)
        it.stop()
    over.set()
    for client in clients:
        client.join(30)
    assert {code for code, _ in refused} <= {grpc.StatusCode.UNAVAILABLE}, refused


def test_it_stops_after_calls_upon_the_last_answers_have_come_and_lets_them_go_once_clients_were_told():
    """What the two waits are for, in the order of one loop's timers: who sends a call, and who hears of the end."""

    async def story():
        happened, loop = [], asyncio.get_running_loop()
        admission = Admission(8, 8)

        async def held():
            happened.append("a call comes")
            await admission.hold()
            happened.append("it is told to go elsewhere")

        class Server:
            async def tell_health(self, serving):
                # As if at the last answer: a client's next call is a round trip away.
                loop.call_later(0.1, lambda: calls.append(loop.create_task(held())))

            async def stop(self, grace):
                happened.append("the server stops")
                loop.call_later(0.05, happened.append, "clients hear of it")
                while not calls or not calls[0].done():
                    await asyncio.sleep(0.01)

        calls: list[asyncio.Task[None]] = []
        await lifecycle._drain(SimpleNamespace(admission=admission), Server(), 10)
        return happened

    assert asyncio.run(story()) == [
        "a call comes", "the server stops", "clients hear of it", "it is told to go elsewhere",
    ]  # fmt: skip
