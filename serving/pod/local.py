"""A serving pod as two processes of this machine."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Self

from serving.pod import flags, memory
from serving.pod.guard import Guard
from serving.pod.pod import START_SECONDS, Pod, PodFailed, cannot_load, crash_of, end_of, free_port

_WATCH_SECONDS = 0.2
_LEAVING_SECONDS = 20


class LocalPod(Pod):
    """The embedded model server on a Unix socket, and the adapter in front of it on loopback ports.

    Arguments:
        models_config: the configuration the model server loads and polls.
        model: name of the model the adapter asks for.
        logs: folder for `model_server.log` and `adapter.log`.
        poll_seconds: how often the configuration is read again.
        memory_limit_mib: a model server that takes more is ended, as a container's would be; None for no limit.
        more_flags: for the model server, after production's.
        explain: whether the adapter tells what of an image its answer rests on.
        host: address that the adapter listens on.
        http_port, grpc_port: its ports; 0 for any free one.
    """

    def __init__(
        self,
        models_config: str,
        model: str,
        logs: Path,
        *,
        poll_seconds: int = 1,
        memory_limit_mib: float | None = None,
        more_flags: tuple[str, ...] = (),
        explain: bool = False,
        host: str = "127.0.0.1",
        http_port: int = 0,
        grpc_port: int = 0,
    ) -> None:
        super().__init__()
        self._host, self.http_port, self.grpc_port = host, http_port, grpc_port
        if host not in ("0.0.0.0", "::"):  # every address of this machine, loopback too
            self._reached_at = f"[{host}]" if ":" in host else host
        self.models_config, self.model, self.logs = models_config, model, logs
        self._poll_seconds, self._more_flags, self._explain = poll_seconds, more_flags, explain
        self._limit, self._over_limit = memory_limit_mib, False
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._guard: Guard | None = None
        # Socket paths are short by law (about 100 bytes), so not below a test's deep folder.
        self._folder = tempfile.TemporaryDirectory(prefix="trainyard-pod-")

    def start(self, timeout: float = START_SECONDS) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        self.http_port, self.grpc_port = self.http_port or free_port(), self.grpc_port or free_port()
        self._guard = Guard()
        self._guard.tell(remove=self._folder.name)
        self._start_model_server()
        place = (self._host, self.http_port, self.grpc_port)
        more = ["--explain"] if self._explain else []
        self._spawn("adapter", [*flags.adapter_flags(self._socket, self.model, *place), *more])
        if self._limit is not None:
            threading.Thread(target=self._watch_memory, name="memory", daemon=True).start()
        self._wait_ready(timeout)
        return self

    def stop(self) -> None:
        self._stopping.set()
        for name in ("adapter", "model_server"):
            self._end(name)
        self._folder.cleanup()
        if self._guard:
            self._guard.dismiss()

    def restart_model_server(self, timeout: float = START_SECONDS) -> None:
        self._end("model_server")
        self._start_model_server()
        self._wait_ready(timeout)

    def check(self) -> None:
        for name, process in self._processes.items():
            code = process.poll()
            if code is None:
                continue
            program, log = name.replace("_", " "), self.logs / f"{name}.log"
            why = cannot_load(self._log(name)) if name == "model_server" else None
            if why:
                raise PodFailed(why, by_model=True)
            if name == "model_server" and self._over_limit:
                raise PodFailed(f"the model server needed more than its {self._limit:g} MiB of memory", by_model=True)
            if crash := crash_of(name, -code):
                raise crash
            raise PodFailed(f"The {program} ended with exit code {code}: {end_of(self._log(name))} (log: {log})")

    def memory_mib(self) -> tuple[float, float] | None:
        process = self._processes.get("model_server")
        return memory.of_process(process.pid) if process else None

    def pids(self) -> dict[str, int]:
        """Of "model_server" and "adapter", as they are now."""
        return {name: process.pid for name, process in self._processes.items()}

    @property
    def _socket(self) -> str:
        return str(Path(self._folder.name) / "model_server.sock")

    def _start_model_server(self) -> None:
        batching = flags.write_batching(Path(self._folder.name))
        own = flags.model_server_flags(self.models_config, str(batching), self._socket, self._poll_seconds)
        self._spawn("model_server", [*own, *self._more_flags])

    def _spawn(self, name: str, arguments: list[str]) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"serving.{name}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal is for whoever started the pod, which ends the adapter first.
                process_group=0,
                # The code may lie in a PEX or in loose sources: hand the path on as it is here.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)},
            )
        self._processes[name] = process
        if self._guard:
            self._guard.tell(kill=process.pid)

    def _end(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=_LEAVING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._guard:
            self._guard.tell(forget=process.pid)

    def _watch_memory(self) -> None:
        while not self._stopping.wait(_WATCH_SECONDS):
            process = self._processes.get("model_server")
            taken = memory.of_process(process.pid) if process else None
            if process and taken and self._limit and taken[0] > self._limit:
                self._over_limit = True
                with contextlib.suppress(OSError):
                    process.kill()
                return

    def _last_word(self) -> str:
        return f"{end_of(self._log('model_server'))} (logs: {self.logs})"

    def _log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text("utf-8", "replace")
