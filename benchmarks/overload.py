"""What an adapter does with more than it can do: how much it still answers, how it refuses, and whether it says that
it is alive."""

import math
import threading
import time
import urllib.error
from collections import Counter
from dataclasses import dataclass

from benchmarks.adapter_process import GRPC_METHOD, REST_METHOD, ServedAdapter
from benchmarks.h2load import Load, flood
from cli.loopback import open_url

CLIENTS = 300
TIMES = 10
_LIVEZ_EVERY = 0.05  # seconds


@dataclass(frozen=True)
class Overload:
    """`offered` is what was sent a second; latencies in ms. gRPC's client can't tell answers from refusals, so of
    their p99 there is none."""

    way: str
    grpc: bool
    offered: float
    goodput: float
    codes: dict[str, int]  # as the adapter counts them, but for what it refuses before it counts
    statuses: dict[int, int]  # as the client sees them; over gRPC a refusal is 200 too
    accepted_p99: float
    livez: float  # ms, the longest
    livez_failed: int

    def others(self) -> int:
        """Answers of another kind than the image's classes and "too many": as the client sees them, which gRPC's
        can't. There it is what the adapter counts (CANCELLED is what was cut off when the client left), and answers
        that it does not count, since gRPC itself gave them."""
        if self.grpc:
            counted = sum(self.codes[code] for code in self.codes.keys() - {"OK", "RESOURCE_EXHAUSTED", "CANCELLED"})
            return counted + max(0, sum(self.statuses.values()) - sum(self.codes.values()))
        return sum(self.statuses[status] for status in self.statuses.keys() - {200, 429})


def overload(
    way: str, served: ServedAdapter, body: bytes, grpc: bool, seconds: int, capacity: Load, many: bool
) -> Overload:
    """300 connections that ask at once again, or (`many`) that offer ten times `capacity` whether answered or not."""
    method = GRPC_METHOD if grpc else REST_METHOD
    before = served.codes(method)
    rate = capacity.rate * TIMES if many else None
    headers = dict(served.headers) if grpc else {"content-type": "image/png", **served.headers}
    with _Watch(served.http.replace("/v1/classify", "/livez")) as watch:
        began = time.monotonic()
        answers = flood(served.grpc if grpc else served.http, body, CLIENTS, seconds, grpc, headers, rate)
        took = time.monotonic() - began
    after = served.codes(method)
    codes = {code: count - before.get(code, 0) for code, count in after.items() if count > before.get(code, 0)}
    accepted = [] if grpc else sorted(one.milliseconds for one in answers if one.status == 200)
    return Overload(
        way,
        grpc,
        rate or len(answers) / took,
        codes.get("OK", 0) / took if grpc else len(accepted) / seconds,
        codes,
        dict(Counter(one.status for one in answers)),
        accepted[math.ceil(len(accepted) * 0.99) - 1] if accepted else math.nan,
        max(watch.took, default=math.inf) * 1000,
        watch.failed,
    )


class _Watch:
    """Asks /livez again and again, each time by a connection of its own."""

    def __init__(self, url: str) -> None:
        self.took: list[float] = []
        self.failed = 0
        self._url, self._stop = url, threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(_LIVEZ_EVERY):
            began = time.perf_counter()
            try:
                with open_url(self._url, timeout=5) as answer:
                    answer.read()
            except (urllib.error.URLError, OSError):
                self.failed += 1
            self.took.append(time.perf_counter() - began)
