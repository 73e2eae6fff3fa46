"""A serving pod as two containers, brought up by Docker Compose."""

import json
import os
import shutil
import subprocess
import uuid
from functools import cache
from pathlib import Path
from typing import Any, Self

from cli import InfrastructureError
from serving.pod import flags, memory
from serving.pod.guard import Guard
from serving.pod.pod import START_SECONDS, Pod, PodFailed, cannot_load, end_of, free_port

# Of the images (infra/docker/Dockerfile).
_IMAGE_USER = 10001
_SOCKETS = "/run/trainyard"
_SOCKET = f"{_SOCKETS}/model_server.sock"
# TensorFlow Serving's image would add flags of its own in its entry point.
_ORIGINAL_PROGRAM = "tensorflow_model_server"


class ComposePod(Pod):
    """The adapter's image, and in front of nobody else the model server's: Trainyard's or TensorFlow Serving's.

    Arguments:
        models_config: the configuration the model server loads; its folder is mounted, under the path it has here.
        model: name of the model the adapter asks for.
        logs: folder for the compose file and the containers' logs.
        images: of "adapter" and "model_server".
        original: the model server's image is TensorFlow Serving's.
        memory_limit_mib: of each container.
        more_flags: for the model server, after production's.
    """

    def __init__(
        self,
        models_config: str,
        model: str,
        logs: Path,
        *,
        images: dict[str, str],
        original: bool = False,
        memory_limit_mib: float,
        more_flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.models_config, self.model, self.logs = Path(models_config), model, logs
        self._images, self._original, self._limit = images, original, memory_limit_mib
        self._more_flags = more_flags
        self._project = f"trainyard-clone-{uuid.uuid4().hex[:8]}"
        self._file = logs / "compose.json"
        self._guard: Guard | None = None

    def start(self, timeout: float = START_SECONDS) -> Self:
        compose = _compose_command()
        self.logs.mkdir(parents=True, exist_ok=True)
        # Containers run as another user, who has to find his way to the models.
        self.models_config.parent.chmod(0o755)
        flags.write_batching(self.models_config.parent)
        bridged = _docker("network", "inspect", "bridge").returncode == 0
        self.http_port, self.grpc_port = free_port(), free_port()
        self._file.write_text(json.dumps(self.compose_file(bridged), indent=1), "utf-8")
        self._compose = [*compose, "--project-name", self._project, "--file", str(self._file)]
        self._guard = Guard()
        self._guard.tell(run=self._down)
        brought = subprocess.run([*self._compose, "up", "--detach"], capture_output=True, text=True)
        if brought.returncode:
            raise PodFailed(f"Docker Compose could not bring the pod up: {end_of(brought.stderr)}")
        self._wait_ready(timeout)
        return self

    def stop(self) -> None:
        if self._guard is None:
            return
        for name in ("adapter", "model_server"):
            logged = _docker("logs", self._container(name))
            (self.logs / f"{name}.log").write_text(logged.stdout + logged.stderr, "utf-8")
        down = subprocess.run(self._down, capture_output=True, text=True)
        if down.returncode:
            raise PodFailed(f"Docker Compose could not take the pod {self._project} down: {end_of(down.stderr)}")
        self._guard.dismiss()

    def restart_model_server(self, timeout: float = START_SECONDS) -> None:
        done = _docker("restart", "--time", "20", self._container("model_server"))
        if done.returncode:
            raise PodFailed(f"Docker could not restart the model server: {end_of(done.stderr)}")
        self._wait_ready(timeout)

    def check(self) -> None:
        for name in ("model_server", "adapter"):
            found = _docker("inspect", "--format", "{{json .State}}", self._container(name))
            if found.returncode:
                raise PodFailed(f"The container {self._container(name)} is gone: {end_of(found.stderr)}")
            state = json.loads(found.stdout)
            if state["Running"]:
                continue
            log, of_model = self._log(name), name == "model_server"
            if of_model and (why := cannot_load(log)):
                raise PodFailed(why, by_model=True)
            if state["OOMKilled"]:
                over = f"the {name.replace('_', ' ')} needed more than its {self._limit:g} MiB of memory"
                raise PodFailed(over, by_model=of_model)
            raise PodFailed(f"The {name} ended with exit code {state['ExitCode']}: {end_of(log)}")

    def memory_mib(self) -> tuple[float, float] | None:
        asked = _docker("exec", self._container("model_server"), "sh", "-c", "cat /proc/[0-9]*/status")
        return memory.of_status(asked.stdout)

    def compose_file(self, bridged: bool) -> dict[str, Any]:
        """What Compose is told. Where the engine has no network (`bridged` false), it lends the machine's loopback."""
        folder = str(self.models_config.parent)
        batching = str(self.models_config.parent / flags.BATCHING_FILE)
        model_server = self._service("model_server") | {
            "command": [*flags.model_server_flags(str(self.models_config), batching, _SOCKET, 0), *self._more_flags],
            "network_mode": "none",
            "volumes": [f"{folder}:{folder}:ro", f"sockets:{_SOCKETS}"],
        }
        if self._original:
            model_server["entrypoint"] = [_ORIGINAL_PROGRAM]
        ports = (8080, 9090) if bridged else (self.http_port, self.grpc_port)
        adapter = self._service("adapter") | {
            "command": flags.adapter_flags(_SOCKET, self.model, "0.0.0.0" if bridged else "127.0.0.1", *ports),
            "volumes": [f"sockets:{_SOCKETS}"],
        }
        if bridged:
            adapter["ports"] = [f"127.0.0.1:{self.http_port}:{ports[0]}", f"127.0.0.1:{self.grpc_port}:{ports[1]}"]
        else:
            adapter["network_mode"] = "host"
        # In memory, so that it works where a folder of the machine can't hold a socket of a container.
        tmpfs = {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "mode=1777,size=1m"}}
        services = {"model_server": model_server, "adapter": adapter}
        return {"version": "2.4", "services": services, "volumes": {"sockets": tmpfs}}

    def _service(self, name: str) -> dict[str, Any]:
        user = (os.getuid(), os.getgid()) if os.getuid() else (_IMAGE_USER, _IMAGE_USER)
        return {
            "image": self._images[name],
            "container_name": self._container(name),
            "user": "{}:{}".format(*user),
            "init": True,
            "read_only": True,
            "tmpfs": ["/tmp"],
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "mem_limit": f"{self._limit:.0f}m",
            "memswap_limit": f"{self._limit:.0f}m",
            # The pod's readiness is asked for from outside.
            "healthcheck": {"disable": True},
        }

    @property
    def _down(self) -> list[str]:
        return [*self._compose, "down", "--volumes", "--timeout", "20"]

    def _container(self, name: str) -> str:
        return f"{self._project}-{name}"

    def _log(self, name: str) -> str:
        logged = _docker("logs", self._container(name))
        return logged.stdout + logged.stderr

    def _last_word(self) -> str:
        return end_of(self._log("model_server"))


@cache
def _compose_command() -> list[str]:
    """Compose as Docker's plugin, or the program it was before.

    Raises:
        InfrastructureError: there is neither.
    """
    if _docker("compose", "version").returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise InfrastructureError("Docker Compose is not installed; install it, or test with --executor local.")


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, errors="replace")
    except FileNotFoundError:
        raise InfrastructureError(
            "The command `docker` is not installed; install it, or test with --executor local."
        ) from None
