import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest

from serving.client import Client, Unavailable
from serving.pod.memory import of_process
from tests.integration.adapter.processes import COMMAND, adapter_process
from tests.unit.adapter.fakes import FakeModelServer
from tests.unit.adapter.images import gray
from tests.unit.adapter.malformed import corpus
from tests.unit.adapter.rest import exchange
from tests.unit.adapter.waiting import wait_until
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

INFRASTRUCTURE = 6
PNG = {"Content-Type": "image/png"}


@pytest.fixture
def model_server():
    with FakeModelServer().serving() as server:
        yield server


class Gate:
    """Holds every Predict until it is opened."""

    def __init__(self, model_server):
        self.held = 0
        self.open = threading.Event()
        model_server.before = self._hold

    def _hold(self, method, _):
        if method == "Predict":
            self.held += 1
            self.open.wait(20)


def in_flight(adapter):
    """Requests, and images of streams, that the adapter works on: those that it gathers wait with it."""
    told = httpx.get(f"{adapter.http}/metrics", trust_env=False).text
    return float(re.search(r"^trainyard_requests_in_flight (\S+)$", told, re.MULTILINE)[1])


def test_terminated_adapter_says_so_at_once_answers_what_is_in_flight_and_leaves_with_zero(model_server):
    with (
        adapter_process(f"127.0.0.1:{model_server.port}") as adapter,
        httpx.Client(base_url=adapter.http, trust_env=False) as rest,
        Client(adapter.grpc) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        assert rest.get("/readyz").status_code == 200
        gate = Gate(model_server)
        over_grpc = [pool.submit(client.classify, gray(1)) for _ in range(3)]
        over_rest = [pool.submit(rest.post, "/v1/classify", content=gray(1), headers=PNG) for _ in range(3)]
        wait_until(lambda: in_flight(adapter) == 6 and gate.held)

        adapter.process.send_signal(signal.SIGTERM)
        wait_until(lambda: rest.get("/readyz").status_code == 503)
        # Who ends all processes of a job, and ./pants with it, asks twice.
        adapter.process.send_signal(signal.SIGTERM)
        assert rest.get("/livez").status_code == 200
        refused = rest.post("/v1/classify", content=gray(1), headers=PNG)
        with pytest.raises(Unavailable, match="shutting down"):
            client.classify(gray(1))
        assert adapter.process.poll() is None
        gate.open.set()

        assert [answer.result(20).version for answer in over_grpc] == [1] * 3
        assert [answer.result(20).status_code for answer in over_rest] == [200] * 3
        assert adapter.process.wait(20) == 0
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")


def test_stream_that_is_open_when_the_adapter_leaves_gets_its_answers_and_then_the_reason(model_server):
    with (
        adapter_process(f"127.0.0.1:{model_server.port}") as adapter,
        grpc.insecure_channel(adapter.grpc) as channel,
    ):
        gate, never = Gate(model_server), threading.Event()

        def requests():
            for id in ("a", "b"):
                yield api.ClassifyStreamRequest(id=id, request=api.ClassifyRequest(image=gray(1)))
            never.wait(30)

        stream = classifier_pb2_grpc.ClassifierStub(channel).ClassifyStream(requests(), timeout=30)
        wait_until(lambda: in_flight(adapter) == 2 and gate.held)
        adapter.process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx.get(f"{adapter.http}/readyz", trust_env=False).status_code == 503)
        gate.open.set()

        assert {next(stream).id, next(stream).id} == {"a", "b"}
        with pytest.raises(grpc.RpcError) as ended:
            next(stream)
        never.set()
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert adapter.process.wait(20) == 0


def test_requests_in_flight_are_not_waited_for_beyond_the_drain_timeout(model_server):
    with (
        adapter_process(f"127.0.0.1:{model_server.port}", "--drain-timeout", "0.2") as adapter,
        Client(adapter.grpc) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        gate = Gate(model_server)
        held = pool.submit(client.classify, gray(1))
        wait_until(lambda: gate.held == 1)
        adapter.process.terminate()

        assert adapter.process.wait(15) == 0
        gate.open.set()
        with pytest.raises(Unavailable):
            held.result(20)


@pytest.mark.parametrize("flag", ["--http-port", "--grpc-port"])
def test_port_in_use_is_one_sentence_with_port_and_flag(flag):
    other = {"--http-port": "--grpc-port", "--grpc-port": "--http-port"}[flag]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run([*COMMAND, flag, port, other, "0"], capture_output=True, text=True, timeout=60)

    assert ended.returncode == INFRASTRUCTURE
    assert ended.stdout == ""
    (sentence,) = ended.stderr.splitlines()
    assert port in sentence
    assert flag in sentence


def test_backend_that_is_no_address_is_wrong_usage():
    ended = subprocess.run([*COMMAND, "--backend", "somewhere"], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 2
    assert "somewhere" in ended.stderr
    assert "HOST:PORT" in ended.stderr


def test_model_server_behind_a_unix_socket_is_reached():
    # Not tmp_path: the kernel wants the path short.
    with tempfile.TemporaryDirectory() as folder:
        path = f"unix:{folder}/s"
        with FakeModelServer().serving(path), adapter_process(path) as adapter, Client(adapter.grpc) as client:
            wait_until(lambda: client.model().versions == {1: "AVAILABLE"})
            assert client.classify(gray(1)).version == 1


@pytest.mark.parametrize("module", ["serving.adapter.lifecycle", "serving.client", "serving.client.__main__"])
def test_nothing_of_it_needs_tensorflow_or_numpy(module):
    code = f"import sys, {module}; print({{'tensorflow', 'keras', 'numpy'}} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert loaded.stdout == "set()\n"


def test_help_does_not_wait_for_what_only_serving_needs():
    code = "import sys, serving.adapter.__main__; print({'grpc', 'fastapi', 'PIL', 'rich'} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert loaded.stdout == "set()\n"


def test_malformed_requests_cost_no_memory_no_metrics_and_no_sign_of_life(model_server):
    with (
        adapter_process(f"127.0.0.1:{model_server.port}") as adapter,
        httpx.Client(base_url=adapter.http, trust_env=False, timeout=20) as rest,
        ThreadPoolExecutor(1) as pool,
    ):
        for _ in range(20):
            assert rest.post("/v1/classify", content=gray(1), headers=PNG).status_code == 200
        before, series = of_process(adapter.process.pid), len(rest.get("/metrics").text.splitlines())
        over = threading.Event()

        def look():
            while not over.wait(0.05):
                assert httpx.get(f"{adapter.http}/livez", trust_env=False, timeout=20).status_code == 200

        looking = pool.submit(look)
        for case in corpus():
            exchange(int(adapter.http.rpartition(":")[2]), case.sent)
        over.set()
        looking.result()
        after = of_process(adapter.process.pid)
        assert after[1] - before[1] < 64, "MiB at the highest"
        assert after[0] - before[0] < 16, "MiB that stay"
        assert len(rest.get("/metrics").text.splitlines()) - series < 60
