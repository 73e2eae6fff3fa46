"""Runs steps as containers of the programs' own images."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import Exit, InfrastructureError, UsageError
from contracts import location
from contracts.executor import Executor
from contracts.location import Local
from engine import docker, require_image, require_shared_users
from pipeline.executors.protocol import Job
from pipeline.pants import nested_environment
from pipeline.step import Step
from pipeline.steps import Row, programs
from settings import Settings
from settings.load import FILE_NAME

# The step that makes images; it comes before those that run in them.
IMAGES = "images"
_SETTINGS_FOLDER = "/etc/trainyard"
# Of the images (infra/docker/Dockerfile).
_IMAGE_USER = 10001
# What `docker run` ends with when the engine, not the program, is at fault (docker-run(1)).
_ENGINE_FAILED = (125, 126, 127)
_NOT_HANDED_ON = ("TRAINYARD_SMTP_PASSWORD", "TRAINYARD_SIGNING_KEY", "TRAINYARD_SIGNING_PUBLIC_KEYS")
_NEVER = "0001-"  # how Docker writes a time that has not come
_KILLED = 137  # 128 + SIGKILL


class Docker:
    """Starts a step as `docker run` of its program's image.

    The registry and the dataset are mounted under the very paths they have here, so that what the program says and
    records of them holds outside. There is no network, the root is read-only, and the user is never root.

    Raises:
        UsageError: the registry is no folder.
    """

    shares_machine = True

    def __init__(self, job: Job) -> None:
        if not isinstance(location.parse(job.settings.registry.uri, "registry"), Local):
            raise UsageError(
                f"Steps in containers have no network, so they can't reach the registry {job.settings.registry.uri}; "
                "use a folder, or --executor local."
            )
        self._job, self._settings = job, job.settings

    def images(self, rows: Sequence[Row], affected: Sequence[str]) -> Step | None:
        """Docker takes what has not changed from its cache."""
        targets = list(dict.fromkeys([*(f"infra/docker:{name}" for name in programs(rows)), *affected]))
        pants = str(self._job.root / "pants")
        return Step(IMAGES, [pants, "package", *targets], nested_environment()) if targets else None

    def step(self, row: Row, arguments: Sequence[str]) -> Step:
        settings, registry = self._settings, Path(self._settings.registry.uri)
        image = settings.containers.image.format(program=row.program)
        container = DockerContainer(f"trainyard-{self._job.key}-{row.name}", settings.containers.memory, image)
        argv = ["docker", "run", "--name", container.name, *_isolation(settings), "--user", _hand_over(registry)]
        argv += _mount(registry, read_only=False)
        if Path(settings.dataset.uri).exists():
            argv += _mount(Path(settings.dataset.uri))
        if (file := self._job.root / FILE_NAME).is_file():
            argv += [*_mount(file, f"{_SETTINGS_FOLDER}/{FILE_NAME}"), "--workdir", _SETTINGS_FOLDER]
        variables = {
            **own_variables(os.environ),
            **self._job.variables_of(row),
            "TRAINYARD_EXECUTOR": Executor.DOCKER.value,
        }
        for variable, value in variables.items():
            argv += ["--env", f"{variable}={value}"]
        argv += _keys(settings, signs=row.makes)
        return Step(row.name, [*argv, container.image, *arguments], dict(os.environ), container, alone=row.measures)


@dataclass(frozen=True)
class DockerContainer:
    """A container of a known name, so that whoever comes after a kill finds it."""

    name: str
    memory: str
    image: str

    def prepare(self) -> None:
        """Removes what a killed run has left under the name.

        Raises:
            InfrastructureError: no engine answers, the image is not there, or what is mounted could not be written.
        """
        docker("rm", "--force", "--volumes", self.name)
        require_image(self.image)
        require_shared_users()

    def conclude(self, exit_code: int) -> tuple[int, str]:
        found = docker("inspect", "--format", "{{json .State}}", self.name)
        state = json.loads(found.stdout) if found.returncode == 0 else {}
        docker("rm", "--force", "--volumes", self.name)
        if exit_code == _KILLED and state.get("OOMKilled"):
            return Exit.INFRASTRUCTURE, (
                f"The container was killed: it needed more than its {self.memory} of memory. Give it more in "
                "trainyard.toml ([containers] memory), or train on smaller images."
            )
        if exit_code in _ENGINE_FAILED and state.get("StartedAt", _NEVER).startswith(_NEVER):
            why = state.get("Error") or "see the lines above"
            return Exit.INFRASTRUCTURE, f"Docker could not start {self.image}: {why}."
        if exit_code == _KILLED:
            return Exit.INFRASTRUCTURE, "The container was killed from outside, by signal 9."
        return exit_code, ""


def _isolation(settings: Settings) -> list[str]:
    limits = [
        "--memory",
        settings.containers.memory,
        "--memory-swap",
        settings.containers.memory,
        "--pids-limit",
        "4096",
    ]
    if settings.containers.cpus:
        limits += ["--cpus", f"{settings.containers.cpus:g}"]
    closed = ["--network", "none", "--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL"]
    # Where SELinux is on, a container would reach nothing that is mounted; a new label would stay on the user's files.
    return ["--init", *limits, *closed, "--security-opt", "no-new-privileges", "--security-opt", "label=disable"]


def _mount(source: Path, target: str | None = None, read_only: bool = True) -> list[str]:
    source = source.resolve()
    # A comma would end the field; --volume could not take a colon, which is likelier in a path.
    fields = ["type=bind", f"source={source}", f"target={target or source}", *(["readonly"] if read_only else [])]
    return ["--mount", ",".join(f'"{field}"' if "," in field else field for field in fields)]


def _hand_over(registry: Path) -> str:
    """The user that a container runs as: who calls this, or the images' own user, who then gets the registry.

    Raises:
        InfrastructureError: the registry's folder can't be made, or given away.
    """
    try:
        registry.mkdir(parents=True, exist_ok=True)
        if os.getuid():
            return f"{os.getuid()}:{os.getgid()}"
        for folder, _, files in os.walk(registry):
            for path in [folder, *(os.path.join(folder, file) for file in files)]:
                if os.lstat(path).st_uid != _IMAGE_USER:
                    os.lchown(path, _IMAGE_USER, _IMAGE_USER)
    except OSError as error:
        raise InfrastructureError(
            f"The registry {registry} can't be handed to a container: {error.strerror}."
        ) from None
    return f"{_IMAGE_USER}:{_IMAGE_USER}"


def _keys(settings: Settings, signs: bool) -> list[str]:
    """Whoever publishes gets the private key. Tests, which run models nobody knows yet, see public keys alone.

    Raises:
        UsageError: there is no key of that kind.
        InfrastructureError: the key can't be made, or given away.
    """
    from registry import Keys

    told = settings.signing
    keys = Keys.of(told.key, told.public_keys, settings.registry.uri)
    argv: list[str] = []
    if signs:
        private = keys.file()
        if not os.getuid():
            os.chown(private, _IMAGE_USER, _IMAGE_USER)
        argv += [*_mount(private), "--env", f"TRAINYARD_SIGNING_KEY={private.resolve()}"]
    trusted = keys.trusted or ((keys.public,) if keys.public and keys.public.exists() else ())
    if not signs and not trusted:
        raise UsageError("No key is there to check signatures with; name it in [signing] public_keys.")
    for path in trusted:
        argv += _mount(path)
    if trusted:
        argv += ["--env", f"TRAINYARD_SIGNING_PUBLIC_KEYS={','.join(str(path.resolve()) for path in trusted)}"]
    return argv


def own_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings among the variables of `environment`, but for secrets."""
    return {k: v for k, v in sorted(environment.items()) if k.startswith("TRAINYARD_") and k not in _NOT_HANDED_ON}
