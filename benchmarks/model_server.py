"""How near the embedded model server comes to what the model alone can do: gRPC and REST, by load from outside Python.

The limit is the bare session callable in a process of its own; an empty gRPC call tells what the stack costs before
anything is predicted. A run counts only if the server has answered as often with OK as the client was answered:
h2load takes a refusal over gRPC for an answer.
"""

import json
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.capacity import processor_seconds
from benchmarks.claims import AsJson, Claim, tell
from benchmarks.h2load import Load, framed, load
from benchmarks.processes import free_port, in_own_process, process
from benchmarks.traffic import our_models
from cli import InfrastructureError, command_line, progress_console, run
from cli.loopback import open_url
from serving.pod import flags, memory

app = command_line(
    "model_server",
    "Measures the embedded model server against the bare model and against an empty gRPC call.",
    ["./pants run benchmarks:model_server", "./pants run benchmarks:model_server -- --seconds 10 --json"],
)

CLIENTS = (1, 8, 32)
NAME = "m"
_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_METRICS = "/monitoring/prometheus/metrics"


def bare(folder: str, seconds: float) -> dict[str, float]:
    """Images a second of the session callable, by how many at once, with the better of one and two threads; "alone" is
    the p50 of one image after the other, in ms."""
    import numpy as np

    from serving.model_server.model import SavedModel

    model = SavedModel(folder)
    signature = model.signatures["serving_default"]
    call = model.call((signature.inputs["pixels"].name,), (signature.outputs["probabilities"].name,))

    def rate(batch: int, threads: int) -> float:
        pixels = np.random.default_rng(0).integers(0, 256, (batch, 128, 128, 1), np.uint8)
        for _ in range(5):
            call(pixels)

        def loop(_: int) -> int:
            count, end = 0, time.monotonic() + seconds
            while time.monotonic() < end:
                call(pixels)
                count += batch
            return count

        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            return sum(pool.map(loop, range(threads))) / (time.perf_counter() - began)

    one, took = np.zeros((1, 128, 128, 1), np.uint8), []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(took) < 20:
        began = time.perf_counter()
        call(one)
        took.append(time.perf_counter() - began)
    rates = {str(batch): max(rate(batch, threads) for threads in (1, 2)) for batch in CLIENTS}
    return {**rates, "alone": sorted(took)[len(took) // 2] * 1000}


# gRPC's two servers in Python, of which the model server's is the second.
EMPTY_SERVERS = {
    "empty call, threads": """
import sys, grpc, threading
from concurrent.futures import ThreadPoolExecutor
handler = grpc.unary_unary_rpc_method_handler(lambda data, context: b"")
server = grpc.server(ThreadPoolExecutor(128))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("empty", {"Call": handler}),))
server.add_insecure_port("127.0.0.1:" + sys.argv[1])
server.start()
print("ready", flush=True)
threading.Event().wait()
""",
    "empty call": """
import asyncio, sys, grpc, grpc.aio
async def answer(data, context):
    return b""
async def serve():
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("empty", {"Call": handler}),))
    server.add_insecure_port("127.0.0.1:" + sys.argv[1])
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()
asyncio.run(serve())
""",
}


def answered(port: int) -> int:
    """How many requests the server has answered with OK."""
    with open_url(f"http://127.0.0.1:{port}{_METRICS}", timeout=10) as page:
        found = re.search(rf':request_count{{model_name="{NAME}",status="OK"}} (\d+)', page.read().decode())
    return int(found[1]) if found else 0


def bodies() -> dict[str, bytes]:
    """A request for one image of 128x128, in each form."""
    import numpy as np
    from tensorflow.core.framework import types_pb2
    from tensorflow_serving.apis import predict_pb2

    pixels = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 1), np.uint8)
    message = predict_pb2.PredictRequest()
    message.model_spec.name = NAME
    tensor = message.inputs["pixels"]
    tensor.dtype = types_pb2.DT_UINT8
    for size in pixels.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = pixels.tobytes()
    return {
        "gRPC": framed(message.SerializeToString()),
        "REST, nested lists": json.dumps({"instances": pixels.tolist()}).encode(),
        "REST, columns": json.dumps({"inputs": {"pixels": pixels.tolist()}}).encode(),
    }


def make_seed(folder: Path) -> None:
    """A network of 65 million parameters (a convolution, Flatten, Dense), with random weights."""
    import tensorflow as tf

    class Seed(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            draw = tf.random.Generator.from_seed(0)
            self.filters = tf.Variable(draw.normal([3, 3, 3, 64], 0, 0.1))
            self.hidden = tf.Variable(draw.normal([128 * 128 * 64, 62], 0, 0.001))
            self.last = tf.Variable(draw.normal([62, 3], 0, 0.1))

        @tf.function(input_signature=[tf.TensorSpec([None, 128, 128, 1], tf.uint8, name="pixels")])
        def serve(self, pixels):  # type: ignore[no-untyped-def]
            images = tf.repeat(tf.cast(pixels, tf.float32) / 255.0, 3, axis=-1)
            found = tf.nn.relu(tf.nn.conv2d(images, self.filters, 1, "SAME"))
            flat = tf.reshape(found, [-1, 128 * 128 * 64])
            return {"probabilities": tf.nn.softmax(tf.nn.relu(flat @ self.hidden) @ self.last)}

    made = Seed()
    tf.saved_model.save(made, str(folder), signatures={"serving_default": made.serve})


@app.command()
def model_server(
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each closed loop, about; there are 26.")] = 4,
    saved_model: Annotated[Path | None, typer.Option(help="A version folder to measure alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the server, the bare model and an empty call, in one run, with a small and a large network."""
    console = progress_console()
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as place:
        folder = Path(place)
        networks: dict[str, Path] = {}
        console.print("Making the models")
        if saved_model is not None:
            networks["saved model"] = saved_model.resolve()
        else:
            make_model, _, _ = our_models()
            make_model(0, folder / "default")
            make_seed(folder / "seed")
            networks = {"default network": folder / "default", "65 million parameters": folder / "seed"}
        empty = []
        for stack, program in EMPTY_SERVERS.items():
            port = free_port()
            with process(["-c", program, str(port)], "ready", folder / "empty.log") as server:
                for clients in CLIENTS:
                    console.print(f"{stack}, {clients} clients")
                    address = f"http://127.0.0.1:{port}/empty/Call"
                    empty.append(measured(stack, address, bodies()["gRPC"], clients, seconds, server.pid))
        found: list[Claim] = []
        for network, path in networks.items():
            limits, alone, loads, started, held = one_network(network, path, folder, seconds)
            report(network, limits, alone, empty, loads, started, held)
            found += claims(network, limits, alone, empty, loads)
    tell(found, as_json)


def one_network(
    network: str, path: Path, folder: Path, seconds: float
) -> tuple[dict[int, float], float, list["Measured"], float, float]:
    """The bare model's images a second by batch and ms alone; the server's loads, seconds to ready and most MiB."""
    console = progress_console()
    versions = folder / f"served {network}"
    versions.mkdir()
    (versions / "1").symlink_to(path)
    console.print(f"{network}: the bare model")
    call = f"bare({str(path)!r}, {seconds / 2})"
    printed = in_own_process(f"import json; from benchmarks.model_server import bare; print(json.dumps({call}))")
    limits = json.loads(printed.splitlines()[-1])
    alone = limits.pop("alone")
    sent, loads, held = bodies(), [], 0.0
    monitoring = folder / "monitoring"
    monitoring.write_text("prometheus_config { enable: true }")
    port, rest = free_port(), free_port()
    began = time.monotonic()
    command = [
        "-m", "serving.model_server", f"--port={port}", f"--rest_api_port={rest}", f"--model_name={NAME}",
        f"--model_base_path={versions}", f"--monitoring_config_file={monitoring}", "--enable_batching",
        f"--batching_parameters_file={flags.write_batching(folder)}",
    ]  # fmt: skip
    with process(command, "Exporting HTTP/REST API", folder / "server.log") as server:
        started = time.monotonic() - began
        for way, body in sent.items():
            address = f"http://127.0.0.1:{port}{_PREDICT}"
            if way != "gRPC":
                address = f"http://127.0.0.1:{rest}/v1/models/{NAME}:predict"
            for clients in CLIENTS if way == "gRPC" else (1, 8):
                console.print(f"{network}: {way}, {clients} clients")
                before = answered(rest)
                loads.append(measured(way, address, body, clients, seconds, server.pid))
                counted, asked = answered(rest) - before, loads[-1].load.requests + _probes(clients)
                if counted != asked:
                    raise InfrastructureError(
                        f"The run is void: {asked} requests had an answer ({way}), the server counts {counted} OK."
                    )
        most = memory.of_process(server.pid)
        held = most[1] if most else 0.0
    return {int(batch): float(rate) for batch, rate in limits.items()}, alone, loads, started, held


@dataclass(frozen=True)
class Measured:
    """A load, and the processor time that a request of it cost the server, in ms, whoever else is on the machine."""

    load: Load
    processor: float


def measured(way: str, url: str, body: bytes, clients: int, seconds: float, pid: int) -> Measured:
    """A load of about so many seconds: its requests are counted by a short one before it."""
    grpc = not way.startswith("REST")
    short = load(way, url, body, clients, _probes(clients), grpc)
    before = processor_seconds(pid)
    found = load(way, url, body, clients, max(_probes(clients), int(short.rate * seconds)), grpc)
    return Measured(found, (processor_seconds(pid) - before) / found.requests * 1000)


def _probes(clients: int) -> int:
    return 25 * clients


def report(
    network: str,
    limits: dict[int, float],
    alone: float,
    empty: list[Measured],
    loads: list[Measured],
    started: float,
    held: float,
) -> None:
    heads = f"{'clients':>7} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>7} {'of the limit':>12}"
    typer.echo(f"\n{network:20} {heads}")
    typer.echo(f"{'the bare model':20} {1:7} {'':11} {alone:8.2f} {'':8} {'':7} {'(alone)':>12}")
    for batch, rate in limits.items():
        typer.echo(f"{'the bare model':20} {batch:7} {rate:11.0f} {'':8} {'':8} {'':7} {'(batch)':>12}")
    for one in [*empty, *loads]:
        found = one.load
        part = f"{found.rate / limits[found.clients]:12.2f}" if one in loads else ""
        typer.echo(
            f"{found.way:20} {found.clients:7} {found.rate:11.0f} {found.p50:8.2f} {found.p99:8.2f} "
            f"{one.processor:7.2f} {part}"
        )
    typer.echo(f"ready after {started:.1f} s, at most {held:.0f} MiB held")


def claims(
    network: str, limits: dict[int, float], alone: float, empty: list[Measured], loads: list[Measured]
) -> list[Claim]:
    rates = {(one.load.way, one.load.clients): one.load.rate for one in loads}
    possible = 1 / (1 / limits[32] + 1 / _rate("empty call", 32, empty))
    single = next(one.load for one in loads if (one.load.way, one.load.clients) == ("gRPC", 1))
    return [
        Claim(f"{network}: 32 clients : the bare model, 32 at once", rates["gRPC", 32] / limits[32], ">= 0.85"),
        Claim(f"{network}: 32 clients : 1 / (the bare model + an empty call)", rates["gRPC", 32] / possible, ">= 0.9"),
        Claim(f"{network}: 8 clients : the bare model, 8 at once", rates["gRPC", 8] / limits[8], ">= 0.7"),
        Claim(f"{network}: one client: p50 over the bare model's", single.p50 - alone, "<= 0.8", "ms"),
    ]


def _rate(way: str, clients: int, loads: list[Measured]) -> float:
    return next(one.load.rate for one in loads if (one.load.way, one.load.clients) == (way, clients))


if __name__ == "__main__":
    run(app)
