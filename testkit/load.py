"""Applications that ask at a steady rate, whatever the answers do: half over gRPC, half over REST, every pod in turn.

`python -m testkit.load` reads its orders as JSON from the first line of stdin, asks until stdin ends, and writes a
line a request to a file. It is a process of its own, so that what it measures is not its caller's doing.
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from serving.client import Client

# More than are in flight at once, or a slow answer would hold back the requests after it.
_CALLERS = 32
_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True)
class Orders:
    # gRPC address and URL of each pod's adapter.
    pods: list[tuple[str, str]]
    # PNG files.
    images: list[str]
    # Requests a second.
    rate: float
    output: str


@dataclass
class Request:
    """One request and what became of it; times are the machine's monotonic clock, in seconds."""

    # When it was to be sent, when it was, and when its answer was there.
    due: float
    sent: float
    received: float
    protocol: str
    pod: int
    image: int
    version: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def seconds(self) -> float:
        """From when it was due: a request that had to wait for a slow one before it waited for the service."""
        return self.received - self.due


def read(path: Path) -> list[Request]:
    return [Request(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def ask(orders: Orders, stop: threading.Event) -> None:
    images = [Path(path).read_bytes() for path in orders.images]
    over_grpc = [Client(address) for address, _ in orders.pods]
    over_rest = [httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False) for _, url in orders.pods]
    lock, number, began = threading.Lock(), 0, time.monotonic()

    def one(turn: int, due: float) -> Request:
        pod, protocol, image = (
            turn % len(orders.pods),
            ("gRPC", "REST")[turn // len(orders.pods) % 2],
            turn % len(images),
        )
        made = Request(due, time.monotonic(), 0.0, protocol, pod, image)
        try:
            if protocol == "gRPC":
                answer = over_grpc[pod].classify(images[image], timeout=_TIMEOUT)
                made.version, made.scores = answer.version, answer.scores
            else:
                response = over_rest[pod].post(
                    "/v1/classify", content=images[image], headers={"Content-Type": "image/png"}
                )
                told = response.raise_for_status().json()
                made.version, made.scores = int(told["version"]), told["scores"]
        except Exception as error:  # whatever it is, an application would have seen it
            made.error = f"{type(error).__name__}: {error}"
        made.received = time.monotonic()
        return made

    def call(output) -> None:  # type: ignore[no-untyped-def]
        nonlocal number
        while True:
            with lock:
                turn, number = number, number + 1
            due = began + turn / orders.rate
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            line = json.dumps(asdict(one(turn, due)))
            with lock:
                output.write(line + "\n")

    with open(orders.output, "w", encoding="utf-8", buffering=1) as output, ThreadPoolExecutor(_CALLERS) as callers:
        for caller in [callers.submit(call, output) for _ in range(_CALLERS)]:
            caller.result()


def main() -> None:
    orders = Orders(**json.loads(sys.stdin.readline()))
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    ask(orders, stop)


if __name__ == "__main__":
    main()
