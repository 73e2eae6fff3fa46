"""Who holds up whom in the embedded model server: slow calls that nobody waits for, and bodies of 100 MiB.

A quick model is asked while 40 clients call a slow one and go away; a model's status is asked while a large body is
read. Nothing of it may keep the others waiting.
"""

import http.client
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.h2load import load
from benchmarks.model_server import NAME, bodies, free_port, process
from benchmarks.traffic import our_models
from cli import command_line, progress_console, run
from serving.pod import flags

app = command_line(
    "model_server_held",
    "Measures a quick model under abandoned calls of a slow one, and status while 100 MiB are read.",
    ["./pants run benchmarks:model_server_held", "./pants run benchmarks:model_server_held -- --seconds 10"],
)
ABANDONED = 40
_GIVE_UP_SECONDS = 0.5
_ITEMS = {"objects": b'{"x": 1.5},', "empty lists": b"[],", "numbers": b"0.123,", "strings": b'"ab",'}


def make_slow(folder: Path) -> None:
    """A model that works for about two seconds."""
    import tensorflow as tf

    class Slow(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def wait(self, x):  # type: ignore[no-untyped-def]
            mean = tf.fill([600, 600], tf.reduce_sum(x) * 0.0 + 1.0 / 600)
            matrix = mean
            for _ in tf.range(200):
                matrix = tf.linalg.matmul(matrix, mean)
            return {"y": x + matrix[0, 0] * 0.0}

    model = Slow()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.wait})


def request_of_slow() -> bytes:
    from tensorflow_serving.apis import predict_pb2

    message = predict_pb2.PredictRequest()
    message.model_spec.name = "slow"
    message.inputs["x"].dtype = 1
    message.inputs["x"].tensor_shape.dim.add(size=1)
    message.inputs["x"].float_val.append(1.0)
    return message.SerializeToString()


def abandoning(port: int, stopping: threading.Event) -> list[threading.Thread]:
    """Clients that call the slow model and go away, again and again."""
    import grpc

    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict", None, None)
    message = request_of_slow()

    def abandon() -> None:
        while not stopping.is_set():
            try:
                call(message, timeout=_GIVE_UP_SECONDS)
            except grpc.RpcError:
                continue

    threads = [threading.Thread(target=abandon, daemon=True) for _ in range(ABANDONED)]
    for thread in threads:
        thread.start()
    return threads


def status_while(port: int, busy: Callable[[], bool]) -> list[float]:
    """Milliseconds of each status call, one after the other, as long as it is `busy`."""
    took = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while busy():
        began = time.perf_counter()
        connection.request("GET", f"/v1/models/{NAME}")
        connection.getresponse().read()
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(0.005)
    connection.close()
    return sorted(took)


def posted(port: int, body: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/models/slow:predict", body, {"Content-Type": "application/json"})
    connection.getresponse().read()
    connection.close()


def p99(sorted_values: list[float]) -> float:
    return sorted_values[int(len(sorted_values) * 0.99)]


@app.command()
def model_server_held(
    seconds: Annotated[float, typer.Option(min=1, help="Of each load.")] = 8,
    mib: Annotated[int, typer.Option(min=1, max=99, help="Of the large bodies.")] = 99,
    as_json: AsJson = False,
) -> None:
    """Measure both, with production's flags and without batching."""
    console = progress_console()
    claims: list[Claim] = []
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as place:
        folder = Path(place)
        make_model, _, _ = our_models()
        make_model(0, folder / NAME / "1")
        make_slow(folder / "slow" / "1")
        config = folder / "models.config"
        config.write_text(
            "model_config_list {"
            + "".join(
                f' config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}'
                for name in (NAME, "slow")
            )
            + " }"
        )
        batching = ["--enable_batching", f"--batching_parameters_file={flags.write_batching(folder)}"]
        for way, chosen in {"batching": batching, "no batching": []}.items():
            port, rest = free_port(), free_port()
            command = ["-m", "serving.model_server", f"--port={port}", f"--rest_api_port={rest}",
                       f"--model_config_file={config}", "--rest_api_timeout_in_ms=100000", *chosen]  # fmt: skip
            with process(command, "Exporting HTTP/REST API", folder / "server.log"):
                url = f"http://127.0.0.1:{port}/tensorflow.serving.PredictionService/Predict"

                def ask(url: str = url, way: str = way) -> tuple[float, float]:
                    short = load(way, url, bodies()["gRPC"], 1, 25, grpc=True)
                    found = load(way, url, bodies()["gRPC"], 1, max(100, int(short.rate * seconds)), grpc=True)
                    return found.p50, found.p99

                ask()
                console.print(f"{way}: the quick model alone")
                alone = ask()
                stopping = threading.Event()
                threads = abandoning(port, stopping)
                time.sleep(1)
                console.print(f"{way}: the quick model beside {ABANDONED} abandoned calls")
                statuses: list[list[float]] = []
                asking = threading.Event()

                def watch(rest: int = rest, done: threading.Event = asking, into: list[list[float]] = statuses) -> None:
                    into.append(status_while(rest, lambda: not done.is_set()))

                watching = threading.Thread(target=watch)
                watching.start()
                beside = ask()
                asking.set()
                watching.join()
                stopping.set()
                for thread in threads:
                    thread.join()
                typer.echo(
                    f"{way}: quick model alone p50 {alone[0]:.1f} p99 {alone[1]:.1f} ms, beside {ABANDONED} abandoned "
                    f"calls p50 {beside[0]:.1f} p99 {beside[1]:.1f} ms; status p99 {p99(statuses[0]):.1f} ms, "
                    f"at most {statuses[0][-1]:.1f} ms of {len(statuses[0])}"
                )
                claims.append(Claim(f"{way}: p99 beside abandoned calls : alone", beside[1] / alone[1], "<= 2"))
                claims.append(Claim(f"{way}: status beside abandoned calls, p99", p99(statuses[0]), "< 100", "ms"))
                for kind, item in _ITEMS.items():
                    body = b'{"instances": [' + (item * (mib * 2**20 // len(item)))[:-1] + b"]}"
                    sender = threading.Thread(target=posted, args=(rest, body))
                    sender.start()
                    took = status_while(rest, sender.is_alive)
                    sender.join()
                    typer.echo(
                        f"{way}: status while {mib} MiB of {kind} are read: p50 {took[len(took) // 2]:.1f} "
                        f"p99 {p99(took):.1f} ms, at most {took[-1]:.1f} ms of {len(took)}"
                    )
                    claims.append(Claim(f"{way}: status while {kind} are read, p99", p99(took), "< 100", "ms"))
    tell(claims, as_json)


if __name__ == "__main__":
    run(app)
