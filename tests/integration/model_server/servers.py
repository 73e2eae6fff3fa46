"""Starts and stops real server processes for tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tests import warm_server

START_SECONDS = 200


def free_port() -> int:
    """A TCP port nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def eventually(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until `condition` holds; fails the test when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


class Server:
    """A model server process with its log in `folder`, a gRPC channel and an HTTP client.

    It is forked from a process that has imported TensorFlow; `alone` starts it by itself.
    """

    def __init__(self, folder: Path, *flags: str, wait: bool = True, alone: bool = False) -> None:
        self.port, self.rest_port = free_port(), free_port()
        self.log_file = folder / f"server-{self.port}.log"
        command = [
            sys.executable,
            "-m",
            "serving.model_server",
            f"--port={self.port}",
            f"--rest_api_port={self.rest_port}",
        ]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path or os.getcwd() for path in sys.path))
        with self.log_file.open("wb") as log:
            start = subprocess.Popen if alone else warm_server.Popen
            self.process = start([*command, *flags], stdout=log, stderr=log, env=environment)
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{self.port}",
            options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
        )
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.rest_port}", trust_env=False, timeout=30)
        if wait:
            self.wait_until_serving()

    def wait_until_serving(self) -> None:
        """Until both ports answer; fails with the log when the process ends."""

        def serving() -> bool:
            assert self.process.poll() is None, self.log
            return "Exporting HTTP/REST API" in self.log

        eventually(serving, START_SECONDS)

    @property
    def log(self) -> str:
        """Everything the server has written."""
        return self.log_file.read_text(errors="replace")

    def states(self, model: str) -> dict[int, str]:
        """Version -> state, over REST."""
        answer = self.http.get(f"/v1/models/{model}").json()
        return {int(row["version"]): row["state"] for row in answer.get("model_version_status", [])}

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        finally:
            self.close()

    def close(self) -> None:
        """End the process whatever its state."""
        self.channel.close()
        self.http.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
