"""An adapter that leaves answers what it took on, and tells the rest to ask another one."""

import threading
import time

import grpc

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
