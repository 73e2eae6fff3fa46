"""What a request costs in processor time, of the adapter and of the model server, and so how many pods a rate needs.

Processor seconds a request do not depend on who else shares the cores, as latencies and rates do. So the servers, the
clients and the bare network can be measured on one machine, and the pods computed from the manifest's own figures.
"""

import http.client
import io
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from PIL import Image

from benchmarks.claims import AsJson, Claim, tell
from benchmarks.traffic import MODEL, our_models
from cli import InfrastructureError, command_line, progress_console, run
from cli.loopback import open_url
from serving.client import Client
from serving.pod import LocalPod, memory

app = command_line(
    "capacity",
    "Measures the processor time of a request, and computes the pods for 10 to 100,000 requests a second.",
    ["./pants run benchmarks:capacity", "./pants run benchmarks:capacity -- --seconds 10 --json"],
)

BATCH = 32
CLIENTS = (1, 8, BATCH)
RATES = (10, 100, 1_000, 10_000, 100_000)
# A radiograph as hospitals keep it, rather than as the usual data sets do.
LARGE = 2048  # pixels
# About half of what was measured on 2 cores of an AMD EPYC, so that a change that makes requests dearer is seen.
LEAST_A_CORE = 120
MOST_TIMES = 3
_TICKS = os.sysconf("SC_CLK_TCK")
_WARM_SECONDS = 1.0
# From the repository's root, where `./pants run` works.
_BASE = Path("infra/k8s/base")

# Asks once; raises if there is no answer.
Ask = Callable[[], Any]


@dataclass(frozen=True)
class Cost:
    """A closed loop of so many clients: requests a second, latencies, and processor seconds a request."""

    way: str
    clients: int
    rate: float
    p50: float
    p99: float
    failed: int
    adapter: float
    model_server: float

    @property
    def a_core(self) -> float:
        """Requests a second that one core can answer, of both processes together."""
        return 1 / (self.adapter + self.model_server)


@dataclass(frozen=True)
class Sizes:
    """How many cores a pod asks for, container by container, how busy they are kept, and the fewest pods."""

    adapter: float
    model_server: float
    busy: float
    fewest: int

    def pods(self, rate: float, cost: Cost) -> int:
        adapter = rate * cost.adapter / (self.adapter * self.busy)
        model_server = rate * cost.model_server / (self.model_server * self.busy)
        return max(self.fewest, math.ceil(max(adapter, model_server)))


def sizes(base: Path = _BASE) -> Sizes:
    spec = yaml.safe_load((base / "serving.yaml").read_text())["spec"]["template"]["spec"]
    (server,), (adapter,) = spec["initContainers"], spec["containers"]
    scaling = next(yaml.safe_load_all((base / "scaling.yaml").read_text()))["spec"]
    targets = {metric["containerResource"]["target"]["averageUtilization"] for metric in scaling["metrics"]}
    cores = [_cores(container["resources"]["requests"]["cpu"]) for container in (adapter, server)]
    return Sizes(cores[0], cores[1], max(targets) / 100, scaling["minReplicas"])


def _cores(quantity: str) -> float:
    """Kubernetes writes a thousandth of a core as 1m."""
    return float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)


def processor_seconds(pid: int) -> float:
    """What a process has used so far, all its threads together."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        raise InfrastructureError(
            "Processor time is read from /proc, which only Linux has, of a running process."
        ) from None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def closed_loop(way: str, make: Callable[[], Ask], clients: int, seconds: float, pids: dict[str, int]) -> Cost:
    """Each client asks again as soon as it is answered. What the first second costs is not counted."""
    took: list[float] = []
    failed, lock, counting, stop = 0, threading.Lock(), threading.Event(), threading.Event()

    def client() -> None:
        nonlocal failed
        ask = make()
        while not stop.is_set():
            began = time.perf_counter()
            try:
                ask()
            except Exception:  # whatever it is, an application would have seen it
                with lock:
                    failed += 1
                ask = make()
                continue
            if counting.is_set():
                with lock:
                    took.append(time.perf_counter() - began)

    with ThreadPoolExecutor(clients) as threads:
        running = [threads.submit(client) for _ in range(clients)]
        try:
            time.sleep(_WARM_SECONDS)
            before, began = {name: processor_seconds(pid) for name, pid in pids.items()}, time.perf_counter()
            counting.set()
            time.sleep(seconds)
            counting.clear()
            ended = time.perf_counter()
            used = {name: processor_seconds(pid) - before[name] for name, pid in pids.items()}
        finally:
            stop.set()
        for one in running:
            one.result()
    if not took:
        raise InfrastructureError(f"No request was answered ({way}, {clients} clients, {failed} failed).")
    took.sort()
    count = len(took)
    return Cost(
        way,
        clients,
        count / (ended - began),
        took[count // 2],
        took[min(count - 1, math.ceil(count * 0.99) - 1)],
        failed,
        used["adapter"] / count,
        used["model_server"] / count,
    )


def over_grpc(address: str, image: bytes) -> Callable[[], Ask]:
    def make() -> Ask:
        client = Client(address)
        return lambda: client.classify(image, timeout=60)

    return make


def over_rest(port: int, image: bytes) -> Callable[[], Ask]:
    def make() -> Ask:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def ask() -> None:
            connection.request("POST", "/v1/classify", image, {"Content-Type": "image/png"})
            response = connection.getresponse()
            if response.read() and response.status != 200:
                raise InfrastructureError(f"HTTP {response.status}")

        return ask

    return make


def resized(image: bytes, side: int) -> bytes:
    data = io.BytesIO()
    Image.open(io.BytesIO(image)).convert("L").resize((side, side), Image.Resampling.BICUBIC).save(data, "PNG")
    return data.getvalue()


def bare(folder: Path, image_size: int, batch: int, seconds: float) -> float:
    """Processor seconds an image of the SavedModel's own function, called in this process."""
    import numpy as np
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    ask = loaded.signatures["serving_default"]
    pixels = tf.constant(np.random.default_rng(0).integers(0, 256, (batch, image_size, image_size, 1), np.uint8))
    for _ in range(5):
        ask(pixels=pixels)
    count, ended, began = 0, time.monotonic() + seconds, time.process_time()
    while time.monotonic() < ended:
        ask(pixels=pixels)["probabilities"].numpy()
        count += batch
    return (time.process_time() - began) / count


def serve(folder: Path) -> str:
    """The configuration of version 1 of the model in `folder`."""
    config = folder / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "{MODEL}" base_path: "{folder / MODEL}" model_platform: "tensorflow" '
        'version_labels { key: "stable" value: 1 } } }'
    )
    return str(config)


@app.command()
def capacity(
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each closed loop; there are 12.")] = 6,
    as_json: AsJson = False,
) -> None:
    """Measure the processor time of a request, and compute the pods for each rate."""
    console = progress_console()
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as place:
        folder = Path(place)
        console.print("Making a model")
        make_model, images, image_size = our_models()
        make_model(0, folder / MODEL / "1")
        drawn = images[0]
        model_alone = {size: bare(folder / MODEL / "1", image_size, size, seconds) for size in (1, BATCH)}
        console.print("Starting a pod")
        costs, idle = [], {}
        with LocalPod(serve(folder), MODEL, folder / "logs", poll_seconds=30) as pod:
            pids = pod.pids()
            time.sleep(3)
            before = {name: processor_seconds(pid) for name, pid in pids.items()}
            time.sleep(seconds)
            idle = {name: (processor_seconds(pid) - before[name]) / seconds for name, pid in pids.items()}
            ways = {
                f"gRPC, PNG of {image_size}x{image_size}": over_grpc(pod.address, resized(drawn, image_size)),
                "gRPC, PNG as drawn": over_grpc(pod.address, drawn),
                "REST, PNG as drawn": over_rest(pod.http_port, drawn),
                f"gRPC, PNG of {LARGE}x{LARGE}": over_grpc(pod.address, resized(drawn, LARGE)),
            }
            for way, make in ways.items():
                for clients in CLIENTS:
                    console.print(f"{way}, {clients} clients")
                    costs.append(closed_loop(way, make, clients, seconds, pids))
            held = {name: most[1] for name, pid in pids.items() if (most := memory.of_process(pid))}
            with open_url(f"{pod.url}/metrics", timeout=10) as answer:
                series = sum(not line.startswith(b"#") for line in answer)
        size = sum(path.stat().st_size for path in (folder / MODEL / "1").rglob("*") if path.is_file()) / 2**20
    held_by = ", ".join(f"{name.replace('_', ' ')} {mib:.0f} MiB" for name, mib in held.items())
    also = f"Memory at its highest: {held_by}. The model's files: {size:.1f} MiB. Samples in /metrics: {series}."
    for line in lines(costs, model_alone, idle, Image.open(io.BytesIO(drawn)).size, also):
        typer.echo(line)
    tell(claims(costs, model_alone), as_json)


def lines(
    costs: list[Cost], model_alone: dict[int, float], idle: dict[str, float], drawn: tuple[int, int], also: str
) -> list[str]:
    table = [
        f"{'':24} {'':>7} {'req/s':>7} {'p50':>7} {'p99':>7} {'adapter':>8} {'server':>8} {'req/s':>7}",
        f"{'request':24} {'clients':>7} {'here':>7} {'ms':>7} {'ms':>7} {'CPU ms':>8} {'CPU ms':>8} {'a core':>7}",
    ]
    for cost in costs:
        table.append(
            f"{cost.way:24} {cost.clients:7} {cost.rate:7.1f} {cost.p50 * 1000:7.1f} {cost.p99 * 1000:7.1f} "
            f"{cost.adapter * 1000:8.2f} {cost.model_server * 1000:8.2f} {cost.a_core:7.0f}"
        )
    for batch, spent in model_alone.items():
        table.append(f"{f'the network, {batch} at once':24} {'':39} {spent * 1000:8.2f} {1 / spent:7.0f}")
    told = ", ".join(f"{name.replace('_', ' ')} {share * 1000:.1f} ms a second" for name, share in idle.items())
    table += [f"CPU ms are those of one request. As drawn: {drawn[0]}x{drawn[1]}. Without requests: {told}.", also, ""]
    size = sizes()
    cores = size.adapter + size.model_server
    table.append(
        f"Pods (cores asked for) of {size.adapter:g} + {size.model_server:g} cores, kept {size.busy:.0%} busy, by the "
        "dearest row of each request:"
    )
    dearest = [max((c for c in costs if c.way == way), key=lambda c: c.adapter + c.model_server) for way in ways(costs)]
    table.append(f"{'requests a second':18}" + "".join(f"{cost.way:>26}" for cost in dearest))
    for rate in RATES:
        pods = [size.pods(rate, cost) for cost in dearest]
        table.append(f"{rate:18,}" + "".join(f"{f'{count:,} ({count * cores:,.0f})':>26}" for count in pods))
    return table


def ways(costs: list[Cost]) -> list[str]:
    return list(dict.fromkeys(cost.way for cost in costs))


def claims(costs: list[Cost], model_alone: dict[int, float]) -> list[Claim]:
    small = next(cost for cost in costs if cost.way == ways(costs)[0] and cost.clients == BATCH)
    times = small.model_server / model_alone[BATCH]
    return [
        Claim("requests that failed", sum(cost.failed for cost in costs), "== 0", "requests"),
        Claim("requests a second and core, gRPC", small.a_core, f">= {LEAST_A_CORE}", "requests"),
        Claim(
            f"model server's processor time : the network's alone, {BATCH} at once", times, f"<= {MOST_TIMES}", "times"
        ),
    ]


if __name__ == "__main__":
    run(app)
