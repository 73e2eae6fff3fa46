"""Starts and stops the two processes of a serving pod."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from cli import InfrastructureError


class LocalPod:
    """The embedded model server on a Unix socket, and the adapter in front of it on loopback ports.

    Arguments:
        models_config: the configuration the model server loads and polls.
        model: name of the model the adapter asks for.
        logs: folder for `model_server.log` and `adapter.log`.
        poll_seconds: how often the configuration is read again.
    """

    def __init__(self, models_config: str, model: str, logs: Path, *, poll_seconds: int = 1) -> None:
        self.models_config, self.model, self.logs = models_config, model, logs
        # Of the adapter; chosen at the start, so that nobody takes them between.
        self.http_port = self.grpc_port = 0
        self._poll_seconds = poll_seconds
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # Socket paths are short by law (about 100 bytes), so not below a test's deep folder.
        self._folder = tempfile.TemporaryDirectory(prefix="trainyard-pod-")

    @property
    def address(self) -> str:
        """HOST:PORT of the adapter's gRPC service."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def url(self) -> str:
        """Of the adapter's page and REST service."""
        return f"http://127.0.0.1:{self.http_port}"

    def start(self, timeout: float = 90) -> Self:
        """Returns when the stable version answers.

        Raises:
            InfrastructureError: a process ended, or nothing was ready within `timeout` seconds.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        self.http_port, self.grpc_port = free_port(), free_port()
        model_server_socket = Path(self._folder.name) / "model_server.sock"
        self._spawn(
            "model_server",
            f"--grpc_socket_path={model_server_socket}",
            "--port=0",
            "--rest_api_port=0",
            f"--model_config_file={self.models_config}",
            f"--model_config_file_poll_wait_seconds={self._poll_seconds}",
            "--allow_version_labels_for_unavailable_models",
        )
        self._spawn(
            "adapter",
            "--backend",
            f"unix:{model_server_socket}",
            "--model",
            self.model,
            "--http-port",
            str(self.http_port),
            "--grpc-port",
            str(self.grpc_port),
        )
        self._wait_ready(time.monotonic() + timeout)
        return self

    def stop(self) -> None:
        """Ends both processes, the adapter first so that it can finish what it is answering."""
        for name in ("adapter", "model_server"):
            process = self._processes.pop(name, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self.logs / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"serving.{name}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The code may lie in a PEX or in loose sources: hand the path on as it is here.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)},
            )

    def _wait_ready(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise InfrastructureError(
                        f"The {name.replace('_', ' ')} ended at its start with exit code {process.returncode}: "
                        f"{self._last_line(name)} (log: {self.logs / (name + '.log')})"
                    )
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        raise InfrastructureError(
            f"The serving pod was not ready in time: {self._last_line('model_server')} (logs: {self.logs})"
        )

    def _last_line(self, name: str) -> str:
        """What a process says of itself at the end: its error if it names one, else its last line."""
        lines = (self.logs / f"{name}.log").read_text("utf-8", "replace").strip().splitlines()
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        return (errors or lines or ["it said nothing"])[-1]


def free_port() -> int:
    """A TCP port of loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
