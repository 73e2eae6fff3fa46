"""What every kind of serving pod can do, and how one fails."""

import json
import re
import signal
import socket
import time
import urllib.error
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from cli import InfrastructureError
from cli.loopback import open_url

START_SECONDS = 90.0
_QUESTION_SECONDS = 3.0
_NODE = re.compile(r"\s*\[\[")
# A program that ends by one of these has failed by itself; the others come from outside.
_OWN_SIGNALS = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV}


class PodFailed(InfrastructureError):
    """A pod did not come up, or one of its programs ended.

    `by_model` tells whether a model is to blame, and `version` which: it can't be loaded, it crashed the model server,
    or it needed more memory than production has.
    """

    def __init__(self, message: str, by_model: bool = False, version: int | None = None) -> None:
        super().__init__(message)
        self.by_model, self.version = by_model, version


class Pod(ABC):
    """A model server that nobody else reaches, and an adapter in front of it on ports of loopback."""

    def __init__(self) -> None:
        # Of the adapter; chosen at the start, so that nobody takes them between.
        self.http_port = self.grpc_port = 0
        # As it stands in an address: a host, or an IPv6 address in brackets.
        self._reached_at = "127.0.0.1"

    @property
    def address(self) -> str:
        """HOST:PORT of the adapter's gRPC service."""
        return f"{self._reached_at}:{self.grpc_port}"

    @property
    def url(self) -> str:
        """Of the adapter's page and REST service."""
        return f"http://{self._reached_at}:{self.http_port}"

    @abstractmethod
    def start(self, timeout: float = START_SECONDS) -> Self:
        """Returns when the stable version answers.

        Raises:
            PodFailed: a program ended, a version can't be loaded, or nothing was ready within `timeout` seconds.
        """

    @abstractmethod
    def stop(self) -> None:
        """Ends both programs, the adapter first so that it can finish what it is answering."""

    @abstractmethod
    def restart_model_server(self, timeout: float = START_SECONDS) -> None:
        """Ends the model server and starts it again; returns and raises as `start` does."""

    @abstractmethod
    def check(self) -> None:
        """
        Raises:
            PodFailed: a program of the pod has ended.
        """

    @abstractmethod
    def memory_mib(self) -> tuple[float, float] | None:
        """Resident memory of the model server in MiB, now and at its highest; None where that can't be had."""

    def stable_version(self) -> int | None:
        """The version that answers; None while there is none, or the adapter does not say."""
        ready = self._ask("/readyz")
        return ready["version"] if ready else None

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

    def _wait_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.check()
            if self._ask("/readyz") is not None:
                return
            self._check_versions()
            time.sleep(0.1)
        raise PodFailed(f"The serving pod was not ready within {timeout:g} s: {self._last_word()}")

    def _check_versions(self) -> None:
        # One version that can't be loaded does not keep a model server from serving another.
        for version in (self._ask("/v1/model") or {}).get("versions", ()):
            if version.get("error"):
                raise PodFailed(plain(version["error"]), by_model=True, version=version["version"])

    def _ask(self, path: str) -> dict | None:
        try:
            with open_url(f"{self.url}{path}", _QUESTION_SECONDS) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError, ValueError):
            return None

    @abstractmethod
    def _last_word(self) -> str:
        """What the pod's programs said last."""


def free_port() -> int:
    """A TCP port of loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_of(log: str) -> str:
    """What a program says of itself at the end: its error if it names one, else its last line."""
    lines = [line for line in log.strip().splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["it said nothing"])[-1]


def crash_of(program: str, number: int) -> PodFailed | None:
    """What to say of a program that signal `number` ended; None where somebody outside sent it."""
    if number not in _OWN_SIGNALS:
        return None
    name = program.replace("_", " ")
    return PodFailed(f"the {name} crashed ({signal.Signals(number).name})", by_model=program == "model_server")


def cannot_load(log: str) -> str | None:
    """Why a model server, this or the original, could not load its model at the start; None if that is not why."""
    _, found, said = log.rpartition("did not become available")
    return plain(said.rpartition("due to error: ")[2]) if found else None


def plain(error: str) -> str:
    """TensorFlow's account of why a model can't be loaded as one line, without the names of graph nodes."""
    kept = [line.strip() for line in error.splitlines() if line.strip() and not _NODE.match(line)]
    what = " ".join(kept).replace("Graph execution error: ", "").rstrip("}. ")
    failed = "its variables can't be restored" if "RestoreV2" in error else "the model can't be loaded"
    return f"{failed} ({what or 'the model server does not say why'})"
