"""Ten seconds of `benchmarks:model_server_soak`: versions change under clients, requests of all kinds come in."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from tests.integration.model_server.requests import request
from tests.integration.model_server.servers import Server, eventually

SECONDS = 10
CLIENTS = 12


@pytest.fixture
def server(models: Path, tmp_path: Path) -> Iterator[Server]:
    """A batching server of version 1 in `tmp_path / "m"`."""
    shutil.copytree(models / "half_plus_two" / "123", tmp_path / "m" / "1")
    running = Server(tmp_path, f"--model_base_path={tmp_path}/m", "--model_name=m", "--enable_batching")
    yield running
    running.close()


def publish(server: Server, models: Path, number: int) -> None:
    """Version `number` in place of the one before, as a registry writes it."""
    folder = server.log_file.parent
    shutil.copytree(models / "half_plus_two" / "123", folder / "staged")
    (folder / "staged").rename(folder / "m" / str(number))
    eventually(lambda: server.states("m").get(number) == "AVAILABLE")
    shutil.rmtree(folder / "m" / str(number - 1))


def asks(server: Server) -> list[Callable[[], object]]:
    """One of each kind; each returns what it should, or raises."""
    call = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict", None, None)
    one = request("m", x=[2.0])
    large = b'{"instances": [2.0], "ignored": [' + b'"x",' * 1_200_000 + b"0]}"  # read in a process of its own

    def posted(body: bytes, status: int) -> None:
        answer = server.http.post("/v1/models/m:predict", content=body)
        assert answer.status_code == status, answer.text

    def refused() -> None:
        with pytest.raises(grpc.RpcError) as failure:
            call(one.SerializeToString()[:-3], timeout=30)
        assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    def abandoned() -> None:
        try:
            call(one.SerializeToString(), timeout=0.002)
        except grpc.RpcError as failure:
            assert failure.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED), failure

    return [
        lambda: server.predictions.Predict(one, timeout=30).outputs["y"].float_val[0] == 3.0 or pytest.fail("wrong"),
        lambda: posted(b'{"instances": [2.0]}', 200),
        lambda: posted(b'{"instances": [2.0}', 400),
        lambda: posted(large, 200),
        refused,
        abandoned,
    ]


def held(server: Server) -> tuple[int, int]:
    """Descriptors, and MiB in memory."""
    process = Path(f"/proc/{server.process.pid}")
    pages = int((process / "statm").read_text().split()[1])
    return len(os.listdir(process / "fd")), pages * os.sysconf("SC_PAGE_SIZE") // 2**20


@pytest.mark.skipif(not Path("/proc").exists(), reason="this system does not tell what a process holds")
def test_nothing_fails_and_nothing_grows_while_versions_change(server: Server, models: Path) -> None:
    counts: Counter[str] = Counter()
    done = threading.Event()
    ways = asks(server)

    def client(number: int) -> None:
        while not done.is_set():
            try:
                ways[number % len(ways)]()
                counts["good"] += 1
            except (Exception, pytest.fail.Exception) as problem:
                counts[f"{type(problem).__name__}: {problem}"[:300]] += 1
            time.sleep(0.01)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in clients:
        thread.start()
    samples, number = [], 2
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end or number < 8:
            publish(server, models, number)
            samples.append(held(server))
            number += 1
    finally:
        done.set()
        for thread in clients:
            thread.join()
    assert set(counts) == {"good"}
    assert counts["good"] > CLIENTS * 5
    eventually(lambda: list(server.states("m").values()).count("AVAILABLE") == 1)
    half = len(samples) // 2
    # A reader's pipes and a few connections come and go.
    assert held(server)[0] <= max(count for count, _ in samples[:half]) + 8, samples
    assert samples[-1][1] <= 1.3 * max(size for _, size in samples[:half]), samples
