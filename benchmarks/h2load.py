"""A load generator outside Python: nghttp2's h2load, over gRPC and over HTTP/1.1."""

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli import InfrastructureError

_GRPC = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Load:
    """What so many clients, each asking again as soon as it is answered, got; latencies in milliseconds."""

    way: str
    clients: int
    requests: int
    rate: float
    p50: float
    p99: float


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it: uncompressed, its length before it."""
    return struct.pack(">BI", 0, len(message)) + message


@dataclass(frozen=True)
class Answered:
    """One answer: HTTP's status (gRPC answers refusals with 200 too), and after how many milliseconds."""

    status: int
    milliseconds: float


def load(
    way: str, url: str, body: bytes, clients: int, requests: int, grpc: bool, headers: Mapping[str, str] = _NONE
) -> Load:
    """Send `body` `requests` times in all. Raises InfrastructureError without h2load, or for a status but 200."""
    said, rows = _run(url, body, grpc, headers, [f"-n{requests}", f"-c{clients}", "-m1"])
    took = re.search(r"finished in ([\d.]+)(us|ms|s),", said)
    if took is None or len(rows) != requests or any(row.status != 200 for row in rows):
        raise InfrastructureError(f"h2load had no {requests} answers of 200 ({way}, {clients} clients): {said}")
    seconds = float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[took[2]]
    latencies = sorted(row.milliseconds for row in rows)
    return Load(way, clients, requests, requests / seconds, *(latencies[int(requests * part)] for part in (0.5, 0.99)))


def flood(
    url: str, body: bytes, clients: int, seconds: int, grpc: bool, headers: Mapping[str, str], rate: float | None = None
) -> list[Answered]:
    """What came of sending for so many seconds, whatever it was; `rate` is in requests a second, of all clients.

    Without a rate each client asks again as soon as it is answered; with one it sends over gRPC without waiting.
    """
    at_once = "-m100" if rate and grpc else "-m1"
    pace = [f"--rps={max(1, round(rate / clients))}"] if rate else []
    return _run(url, body, grpc, headers, [f"-D{seconds}", f"-c{clients}", at_once, *pace])[1]


def _run(url: str, body: bytes, grpc: bool, headers: Mapping[str, str], much: list[str]) -> tuple[str, list[Answered]]:
    if shutil.which("h2load") is None:
        raise InfrastructureError(
            "h2load is missing: `apt-get install nghttp2-client` (macOS: `brew install nghttp2`)."
        )
    with tempfile.TemporaryDirectory() as folder:
        data, log = Path(folder, "body"), Path(folder, "log")
        data.write_bytes(body)
        kind = _GRPC if grpc else ["--h1"]
        for name, value in (headers if grpc else {"content-type": "application/json", **headers}).items():
            kind = [*kind, "-H", f"{name}: {value}"]
        command = ["h2load", *much, f"-d{data}", f"--log-file={log}", *kind, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        rows = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
    if done.returncode:
        raise InfrastructureError(f"h2load failed: {done.stdout}{done.stderr}")
    return done.stdout, [Answered(int(row[1]), int(row[2]) / 1000) for row in rows]
