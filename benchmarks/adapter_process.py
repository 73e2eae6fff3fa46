"""A packaged pod's two programs with production's flags, the adapter's followed by what a benchmark adds."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.capacity import serve
from benchmarks.processes import free_port, process
from benchmarks.traffic import MODEL
from cli import InfrastructureError
from cli.loopback import open_url
from serving.pod import flags, memory

GRPC_METHOD, REST_METHOD = "Classify", "POST /v1/classify"
_CLASSIFY = "/trainyard.v1.Classifier/Classify"
_SETTLED_SECONDS = 10.0


@dataclass(frozen=True)
class ServedAdapter:
    """An adapter that answers."""

    way: str
    pid: int
    server_pid: int
    http: str
    grpc: str
    metrics: str
    ready_seconds: float  # from its start until it answered /readyz
    headers: dict[str, str] = field(default_factory=dict)

    def codes(self, method: str) -> dict[str, int]:
        """How many requests it has answered, by code, once none is under way any more."""
        end = time.monotonic() + _SETTLED_SECONDS
        while time.monotonic() < end:
            with open_url(self.metrics, timeout=10) as page:
                text = page.read().decode()
            if "trainyard_requests_in_flight 0.0" in text:
                pattern = rf'^trainyard_requests_total{{code="(\w+)",method="{re.escape(method)}",.*}} (\d+)'
                found: dict[str, int] = {}
                for code, count in re.findall(pattern, text, re.MULTILINE):
                    found[code] = found.get(code, 0) + int(count)
                return found
            time.sleep(0.02)
        raise InfrastructureError("The adapter is still at work ten seconds after the last request.")

    def answered(self, method: str) -> int:
        return self.codes(method).get("OK", 0)

    def most_memory(self) -> float:
        """MiB at the highest, so far."""
        most = memory.of_process(self.pid)
        return most[1] if most else 0.0


@contextmanager
def model_server(folder: Path) -> Iterator[tuple[str, int]]:
    """Version 1 of the model in `folder`: its socket, and the process."""
    # Socket paths are short by law.
    with tempfile.TemporaryDirectory(prefix="trainyard-") as short:
        socket = f"{short}/model_server.sock"
        batching = str(flags.write_batching(folder))
        arguments = flags.model_server_flags(serve(folder), batching, socket, 30)
        with process(["-m", "serving.model_server", *arguments], "Running gRPC", folder / "server.log") as running:
            yield socket, running.pid


@contextmanager
def adapter(
    way: str, folder: Path, server: tuple[str, int], more: Sequence[str] = (), token: str | None = None
) -> Iterator[ServedAdapter]:
    http, grpc, metrics = free_port(), free_port(), free_port()
    arguments = [*flags.adapter_flags(server[0], MODEL, "127.0.0.1", http, grpc), f"--metrics-port={metrics}", *more]
    began = time.monotonic()
    secure = any(flag.startswith("--tls-certificate") for flag in more)
    scheme = "https" if secure else "http"
    # Over TLS the log says it, as nobody here trusts the certificate.
    ready = "Serving version" if secure else f"http://127.0.0.1:{http}/readyz"
    with process(["-m", "serving.adapter", *arguments], ready, folder / "adapter.log") as running:
        yield ServedAdapter(
            way,
            running.pid,
            server[1],
            f"{scheme}://127.0.0.1:{http}/v1/classify",
            f"{scheme}://127.0.0.1:{grpc}{_CLASSIFY}",
            f"http://127.0.0.1:{metrics}/metrics",
            time.monotonic() - began,
            {"Authorization": f"Bearer {token}"} if token else {},
        )


def certificate(folder: Path) -> list[str]:
    """The adapter's flags for a certificate that is signed by itself.

    Raises:
        InfrastructureError: OpenSSL's program is missing or fails.
    """
    made, key = folder / "tls.crt", folder / "tls.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(made), "-days", "2", "-subj", "/CN=localhost"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise InfrastructureError("A certificate can't be made: `openssl req` failed; install openssl.") from None
    return [f"--tls-certificate={made}", f"--tls-key={key}"]
