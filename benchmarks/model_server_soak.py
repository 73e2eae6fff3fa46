"""The embedded model server over a long time: versions change under load; nothing may fail, nothing grow."""

import http.client
import itertools
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.model_server import NAME, free_port, process
from benchmarks.traffic import our_models
from cli import command_line, progress_console, run
from serving.pod import flags, memory

app = command_line(
    "model_server_soak",
    "Changes versions under 50 clients, then sends requests of all kinds; counts failures, memory and descriptors.",
    [
        "./pants run benchmarks:model_server_soak",
        "./pants run benchmarks:model_server_soak -- --switches 100 --seconds 600",
    ],
)
CLIENTS = 50
Ask = Callable[[], bool]  # whether it was answered as it should be


class Load:
    """Clients that ask until they are stopped, and what they were answered."""

    def __init__(self, asks: list[Ask], clients: int) -> None:
        self.counts: Counter[bool] = Counter()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        ways = itertools.cycle(asks)
        self._threads = [threading.Thread(target=self._client, args=(next(ways),), daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _client(self, ask: Ask) -> None:
        while not self._stopping.is_set():
            try:
                good = ask()
            except Exception as problem:
                typer.echo(f"failed: {type(problem).__name__}: {str(problem)[:200]}", err=True)
                good = False
            with self._lock:
                self.counts[good] += 1

    def stop(self) -> Counter[bool]:
        """The counts, once everybody has been answered."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self.counts


def held(pid: int) -> tuple[float, int]:
    """MiB and descriptors of a process."""
    resident = memory.of_process(pid)
    return (resident[0] if resident else 0.0), len(os.listdir(f"/proc/{pid}/fd"))


def asks(port: int, rest: int) -> list[Ask]:
    """One of each kind; half of them are the ordinary prediction."""
    import grpc
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict", None, None)

    def message(images: int) -> bytes:
        asked = predict_pb2.PredictRequest()
        asked.model_spec.name = NAME
        pixels = np.random.default_rng(0).integers(0, 256, (images, 128, 128, 1), np.uint8)
        asked.inputs["pixels"].CopyFrom(tf.make_tensor_proto(pixels))
        return asked.SerializeToString()

    one, eight = message(1), message(8)
    image = np.zeros((1, 128, 128, 1), np.uint8).tolist()
    body = json.dumps({"instances": image}).encode()
    large = json.dumps({"instances": image, "ignored": ["x"] * 1_000_000}).encode()

    def posted(text: bytes, status: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", rest, timeout=60)
        connection.request("POST", f"/v1/models/{NAME}:predict", text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        time.sleep(0.05)
        return answer.status == status

    def abandoned() -> bool:
        try:
            call(one, timeout=0.002)
        except grpc.RpcError as error:
            return error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
        return True

    def refused() -> bool:
        try:
            call(one[:-7], timeout=60)
        except grpc.RpcError as error:
            time.sleep(0.05)
            return error.code() is grpc.StatusCode.INVALID_ARGUMENT
        return False

    ordinary: Ask = lambda: bool(call(one, timeout=60))  # noqa: E731
    odd: list[Ask] = [
        lambda: bool(call(eight, timeout=60)),
        lambda: posted(body, 200),
        lambda: posted(large, 200),
        lambda: posted(body[:-3], 400),
        abandoned,
        refused,
    ]
    return [way for other in odd for way in (ordinary, other)]


def available(rest: int, number: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", rest, timeout=60)
    connection.request("GET", f"/v1/models/{NAME}/versions/{number}")
    text = connection.getresponse().read()
    connection.close()
    return b"AVAILABLE" in text


@app.command()
def model_server_soak(
    switches: Annotated[int, typer.Option(min=8, help="Changes of the version.")] = 40,
    seconds: Annotated[float, typer.Option(min=10, help="Of requests of all kinds.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Run both and tell what was held."""
    console = progress_console()
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as place:
        folder = Path(place)
        versions = folder / NAME
        make_model, _, _ = our_models()
        make_model(0, folder / "made")
        shutil.copytree(folder / "made", versions / "1")
        port, rest = free_port(), free_port()
        command = ["-m", "serving.model_server", f"--port={port}", f"--rest_api_port={rest}", f"--model_name={NAME}",
                   f"--model_base_path={versions}", "--enable_batching",
                   f"--batching_parameters_file={flags.write_batching(folder)}"]  # fmt: skip
        with process(command, "Exporting HTTP/REST API", folder / "server.log") as server:
            ways = asks(port, rest)
            load = Load([ways[0]], CLIENTS)
            samples = []
            for number in range(2, switches + 2):
                shutil.copytree(folder / "made", folder / "copy")
                (folder / "copy").rename(versions / str(number))
                while not available(rest, number):
                    time.sleep(0.1)
                shutil.rmtree(versions / str(number - 1))
                samples.append(held(server.pid))
                if number % 10 == 0:
                    console.print(f"{number - 1} switches, {samples[-1][0]:.0f} MiB, {samples[-1][1]} descriptors")
            switched = load.stop()
            mixed = Load(ways, len(ways) * 2)
            later = []
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(seconds / 40)
                later.append(held(server.pid))
            answers = mixed.stop()
    for what, counts, rows in (("switches", switched, samples), ("mixed requests", answers, later)):
        typer.echo(
            f"{what}: {counts[True]} as they should be, {counts[False]} not; {rows[0][0]:.0f} MiB at first, "
            f"{max(row[0] for row in rows):.0f} at most, {rows[-1][0]:.0f} at last; "
            f"{rows[0][1]} descriptors at first, {max(row[1] for row in rows)} at most"
        )
    found = []
    for what, counts, rows in (("switches", switched, samples), ("mixed", answers, later)):
        quarter = len(rows) // 4
        middle = statistics.median(row[0] for row in rows[quarter : 2 * quarter])
        last = statistics.median(row[0] for row in rows[-quarter:])
        found += [
            Claim(f"{what}: not as they should be", counts[False], "<= 0"),
            Claim(f"{what}: MiB in the last quarter : in the second", last / middle, "<= 1.05"),
            Claim(f"{what}: descriptors gained since the second quarter", rows[-1][1] - rows[quarter][1], "<= 8"),
        ]
    tell(found, as_json)


if __name__ == "__main__":
    run(app)
