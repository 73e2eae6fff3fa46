"""How near the embedded model server comes to what the model alone can do: gRPC and REST, by load from outside Python.

The limit is the bare session callable in a process of its own; an empty gRPC call tells what the stack costs before
anything is predicted. A run counts only if the server has answered as often with OK as the client was answered:
h2load takes a refusal over gRPC for an answer.
"""

import functools
import json
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.capacity import processor_seconds
from benchmarks.claims import AsJson, Claim, tell
from benchmarks.h2load import Load, framed, load
from benchmarks.limit import answer_lines, bare_model, calls_a_second
from benchmarks.processes import free_port, process
from benchmarks.rounds import Rounds
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
BARE = "the bare model"
_CONSTANT = "the same, as constants"
_BARE = (BARE, _CONSTANT)
_EMPTY = "empty call"
_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_METRICS = "/monitoring/prometheus/metrics"


def answer(folder: str, way: str) -> None:
    """Says how quick the session callable is, in the better of one and two threads, as often as standard input asks.

    The limit is that of the model as it was saved; beside it stands what the server makes of one without state.
    """
    import numpy as np

    from serving.model_server.model import SavedModel

    model = SavedModel(folder, constants=way == _CONSTANT)
    signature = model.signatures["serving_default"]
    call = model.call((signature.inputs["pixels"].name,), (signature.outputs["probabilities"].name,))
    pixels = {many: np.random.default_rng(0).integers(0, 256, (many, 128, 128, 1), np.uint8) for many in CLIENTS}

    def rate(many: int, seconds: float) -> float:
        ask = functools.partial(call, pixels[many])
        return max(calls_a_second(ask, threads, seconds / 2) * many for threads in (1, 2))

    answer_lines(rate, functools.partial(call, pixels[1]))


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
    _EMPTY: """
import sys, grpc, grpc.aio, uvloop
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
uvloop.run(serve())
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
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each closed loop, about; a round has 20.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="In each, all are measured one after the other.")] = 5,
    saved_model: Annotated[Path | None, typer.Option(help="A version folder to measure alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the server, the bare model and an empty call side by side, with a small and a large network."""
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
        told: list[Claim] = []
        for network, path in networks.items():
            found, started, held = one_network(network, path, folder, rounds, seconds)
            report(network, found, started, held)
            told += claims(network, found)
    tell(told, as_json)


def one_network(network: str, path: Path, folder: Path, rounds: int, seconds: float) -> tuple[Rounds, float, float]:
    """Everything's figures; the server's seconds to ready and most MiB."""
    console = progress_console()
    versions = folder / f"served {network}"
    versions.mkdir()
    (versions / "1").symlink_to(path)
    monitoring = folder / "monitoring"
    monitoring.write_text("prometheus_config { enable: true }")
    port, rest = free_port(), free_port()
    command = [
        "-m", "serving.model_server", f"--port={port}", f"--rest_api_port={rest}", f"--model_name={NAME}",
        f"--model_base_path={versions}", f"--monitoring_config_file={monitoring}", "--enable_batching",
        f"--batching_parameters_file={flags.write_batching(folder)}",
    ]  # fmt: skip
    found, sent = Rounds(), bodies()
    with ExitStack() as stack:
        bare = {way: stack.enter_context(bare_model("benchmarks.model_server", str(path), way)) for way in _BARE}
        empty = {stack.enter_context(_empty(name, folder)): name for name in EMPTY_SERVERS}
        began = time.monotonic()
        server = stack.enter_context(process(command, "Exporting HTTP/REST API", folder / "server.log"))
        started = time.monotonic() - began
        for number in range(rounds):
            for clients in CLIENTS:
                console.print(f"{network}: round {number + 1} of {rounds}, {clients} clients")
                for way, limit in bare.items():
                    found.add((way, clients, "rate"), limit.of(clients, seconds))
                    if clients == 1:
                        found.add((way, clients, "p50"), limit.alone(seconds))
                for (at, pid), name in empty.items():
                    _add(found, name, measured(name, f"{at}/empty/Call", sent["gRPC"], clients, seconds, pid))
                for way, body in sent.items():
                    address = f"http://127.0.0.1:{port}{_PREDICT}"
                    if way != "gRPC":
                        address = f"http://127.0.0.1:{rest}/v1/models/{NAME}:predict"
                    if way == "gRPC" or clients < max(CLIENTS):
                        before = answered(rest)
                        one = measured(way, address, body, clients, seconds, server.pid)
                        counted, asked = answered(rest) - before, one.load.requests + _probes(clients)
                        if counted != asked:
                            raise InfrastructureError(
                                f"The run is void: {asked} requests had an answer ({way}), the server counts "
                                f"{counted} OK."
                            )
                        _add(found, way, one)
            # What is possible where network and stack share the processors, in this round.
            model_alone, stack_alone = found.last((BARE, 32, "rate")), found.last((_EMPTY, 32, "rate"))
            found.add("possible", 1 / (1 / model_alone + 1 / stack_alone))
        most = memory.of_process(server.pid)
    return found, started, most[1] if most else 0.0


@contextmanager
def _empty(name: str, folder: Path) -> Iterator[tuple[str, int]]:
    port = free_port()
    with process(["-c", EMPTY_SERVERS[name], str(port)], "ready", folder / f"{name}.log") as server:
        yield f"http://127.0.0.1:{port}", server.pid


def _add(found: Rounds, way: str, one: "Measured") -> None:
    load = one.load
    for what, figure in (("rate", load.rate), ("p50", load.p50), ("p99", load.p99), ("CPU", one.processor)):
        found.add((way, load.clients, what), figure)


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


def report(network: str, found: Rounds, started: float, held: float) -> None:
    heads = f"{'clients':>7} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>7} {'of the limit':>12}"
    typer.echo(f"\n{network:22} {heads}")
    for way in found.ways():
        for clients in CLIENTS:
            if (way, clients, "rate") not in found:
                continue
            figures = [f"{found.median((way, clients, 'rate')):11.0f}"]
            for what, width in (("p50", 8), ("p99", 8), ("CPU", 7)):
                one = (way, clients, what)
                figures.append(f"{found.median(one):{width}.2f}" if one in found else " " * width)
            share = found.ratio((way, clients, "rate"), (BARE, clients, "rate"))
            typer.echo(f"{way:22} {clients:7} {' '.join(figures)} {share:12.2f}")
    typer.echo(f"ready after {started:.1f} s, at most {held:.0f} MiB held")


def claims(network: str, found: Rounds) -> list[Claim]:
    ours = ("gRPC", 32, "rate")
    of_bare, of_eight = found.ratio(ours, (BARE, 32, "rate")), found.ratio(("gRPC", 8, "rate"), (BARE, 8, "rate"))
    over = found.difference(("gRPC", 1, "p50"), (BARE, 1, "p50"))
    possible = found.ratio(ours, "possible")
    return [
        Claim(f"{network}: 32 clients : the bare model, 32 at once", of_bare, ">= 0.85"),
        Claim(f"{network}: 32 clients : 1 / (the bare model + an empty call)", possible, ">= 0.9"),
        Claim(f"{network}: 8 clients : the bare model, 8 at once", of_eight, ">= 0.7"),
        Claim(f"{network}: one client: p50 over the bare model's", over, "<= 0.8", "ms"),
    ]


if __name__ == "__main__":
    run(app)
