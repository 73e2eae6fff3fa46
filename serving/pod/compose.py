"""A serving pod as two containers, brought up by Docker Compose."""

import json
import os
import shutil
import subprocess
import uuid
from functools import cache
from pathlib import Path
from typing import Self, TypedDict

from cli import InfrastructureError
from engine import docker, require_image
from serving.pod import flags, memory
from serving.pod.compose_file import PROGRAMS, ComposeFile
from serving.pod.guard import Guard
from serving.pod.pod import START_SECONDS, Pod, PodFailed, cannot_load, crash_of, end_of, free_port


class _State(TypedDict):
    """What Docker says of a container."""

    Running: bool
    OOMKilled: bool
    ExitCode: int


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
        self.logs = logs
        self._told = ComposeFile(
            project=f"trainyard-clone-{uuid.uuid4().hex[:8]}",
            models_config=Path(models_config),
            model=model,
            images=images,
            original=original,
            memory_limit_mib=memory_limit_mib,
            more_flags=more_flags,
        )
        self._compose: list[str] = []
        self._guard: Guard | None = None

    def start(self, timeout: float = START_SECONDS) -> Self:
        compose = _compose_command()
        told = self._told
        # TensorFlow Serving's is pulled where it is missing.
        for program in PROGRAMS if not told.original else ("adapter",):
            require_image(told.images[program])
        self.logs.mkdir(parents=True, exist_ok=True)
        # Containers run as another user, who has to find his way to the models.
        told.models_config.parent.chmod(0o755)
        flags.write_batching(told.models_config.parent)
        bridged = docker("network", "inspect", "bridge").returncode == 0
        self.http_port, self.grpc_port = free_port(), free_port()
        file = self.logs / "compose.json"
        file.write_text(json.dumps(told.content(self.http_port, self.grpc_port, bridged), indent=1), "utf-8")
        self._compose = [*compose, "--project-name", told.project, "--file", str(file)]
        self._guard = Guard()
        # By name, as the compose file may be gone by then, and the last first.
        self._guard.tell(run=["docker", "network", "rm", told.network])
        self._guard.tell(run=["docker", "volume", "rm", told.volume])
        self._guard.tell(run=["docker", "rm", "--force", *map(told.container, PROGRAMS)])
        code, said = self._call("up", "--detach")
        if code:
            raise PodFailed(f"Docker Compose could not bring the pod up: {end_of(said)}")
        self._wait_ready(timeout)
        return self

    def stop(self) -> None:
        if self._guard is None:
            return
        for program in PROGRAMS:
            (self.logs / f"{program}.log").write_text(self._log(program), "utf-8")
        code, said = self._call("down", "--volumes", "--timeout", "20")
        if code:
            raise PodFailed(f"Docker Compose could not take the pod {self._told.project} down: {end_of(said)}")
        self._guard.dismiss()

    def restart_model_server(self, timeout: float = START_SECONDS) -> None:
        done = docker("restart", "--time", "20", self._told.container("model_server"))
        if done.returncode:
            raise PodFailed(f"Docker could not restart the model server: {end_of(done.stderr)}")
        self._wait_ready(timeout)

    def check(self) -> None:
        for program in reversed(PROGRAMS):
            found = docker("inspect", "--format", "{{json .State}}", self._told.container(program))
            if found.returncode:
                raise PodFailed(f"The container {self._told.container(program)} is gone: {end_of(found.stderr)}")
            state: _State = json.loads(found.stdout)
            if not state["Running"]:
                raise self._ended(program, state)

    def _ended(self, program: str, state: _State) -> PodFailed:
        log, of_model, name = self._log(program), program == "model_server", program.replace("_", " ")
        if of_model and (why := cannot_load(log)):
            return PodFailed(why, by_model=True)
        if state["OOMKilled"]:
            limit = self._told.memory_limit_mib
            return PodFailed(f"the {name} needed more than its {limit:g} MiB of memory", by_model=of_model)
        # The first process of a container tells by 128 and more which signal ended its child.
        if crash := crash_of(program, state["ExitCode"] - 128):
            return crash
        return PodFailed(f"The {name} ended with exit code {state['ExitCode']}: {end_of(log)}")

    def memory_mib(self) -> tuple[float, float] | None:
        asked = docker("exec", self._told.container("model_server"), "sh", "-c", "cat /proc/[0-9]*/status")
        return memory.of_status(asked.stdout)

    def _call(self, *arguments: str) -> tuple[int, str]:
        """Compose's exit code and what it says of what it does."""
        assert self._guard
        # The older Compose is a Python program itself, whose imports must not come from our path.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        with subprocess.Popen(
            [*self._compose, *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            # Or it would go on bringing up what nobody takes down.
            self._guard.tell(kill=process.pid)
            _, said = process.communicate()
        self._guard.tell(forget=process.pid)
        return process.returncode, said

    def _log(self, program: str) -> str:
        logged = docker("logs", self._told.container(program))
        return logged.stdout + logged.stderr

    def _last_word(self) -> str:
        return end_of(self._log("model_server"))


@cache
def _compose_command() -> list[str]:
    """Compose as Docker's plugin, or the program it was before.

    Raises:
        InfrastructureError: there is neither.
    """
    if docker("compose", "version").returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise InfrastructureError("Docker Compose is not installed; install it, or test with --executor local.")
