"""A load generator outside Python: nghttp2's h2load, over gRPC and over HTTP/1.1."""

import re
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cli import InfrastructureError

_GRPC = ["-H", "content-type: application/grpc", "-H", "te: trailers"]


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


def load(way: str, url: str, body: bytes, clients: int, requests: int, grpc: bool) -> Load:
    """Send `body` `requests` times in all. Raises InfrastructureError without h2load, or for a status but 200."""
    if shutil.which("h2load") is None:
        raise InfrastructureError(
            "h2load is missing: `apt-get install nghttp2-client` (macOS: `brew install nghttp2`)."
        )
    with tempfile.TemporaryDirectory() as folder:
        data, log = Path(folder, "body"), Path(folder, "log")
        data.write_bytes(body)
        kind = _GRPC if grpc else ["--h1", "-H", "content-type: application/json"]
        command = ["h2load", f"-n{requests}", f"-c{clients}", "-m1", f"-d{data}", f"--log-file={log}", *kind, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        rows = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
    took = re.search(r"finished in ([\d.]+)(us|ms|s),", done.stdout)
    if done.returncode or took is None or len(rows) != requests or any(row[1] != "200" for row in rows):
        raise InfrastructureError(f"h2load had no {requests} answers of 200 ({way}, {clients} clients): {done.stdout}")
    seconds = float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[took[2]]
    latencies = sorted(int(row[2]) / 1000 for row in rows)
    return Load(way, clients, requests, requests / seconds, *(latencies[int(requests * part)] for part in (0.5, 0.99)))
