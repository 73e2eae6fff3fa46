"""Where a serving pod comes up: chosen by the same names as where a pipeline's steps run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli import UsageError
from contracts.executor import Executor
from serving.pod.compose import ComposePod
from serving.pod.kubernetes import KubernetesPod, model_server_image
from serving.pod.local import LocalPod
from serving.pod.pod import Pod
from settings import Settings


@dataclass(frozen=True)
class Place:
    """Where a pod comes up, and what of.

    Raises:
        UsageError: there is no such place, or it has no images to choose.
    """

    executor: str = Executor.LOCAL.value
    # Of the two programs' images, for Docker; {program} is adapter or model_server.
    image: str = "trainyard/{program}:latest"
    # TensorFlow Serving's own image, in the place of the embedded server.
    model_server_image: str | None = None
    # Of processes and of Docker's containers; in a cluster the Deployment says it.
    memory_limit_mib: float = 2048
    # Of the Deployment that a pod in a cluster is made of.
    namespace: str = "trainyard-staging"

    @classmethod
    def of(cls, settings: Settings, executor: str = "local", model_server_image: str | None = None) -> "Place":
        """What the settings say of a pod of this kind."""
        image, memory = settings.containers.image, settings.serving.memory_mib
        return cls(executor, image, model_server_image, memory, settings.kubernetes.staging)

    def __post_init__(self) -> None:
        if Executor.named(self.executor) == Executor.LOCAL and self.model_server_image:
            raise UsageError(
                "--model-server-image needs --executor docker or kubernetes: a process of this machine has no image."
            )

    @property
    def model_server(self) -> str:
        """Which model server answers, for people to read."""
        return self.model_server_image or _ALL[Executor(self.executor)].model_server(self)

    def pod(self, models_config: Path, model: str, logs: Path, more_flags: tuple[str, ...] = ()) -> Pod:
        """The pod, not yet started, that serves `model` by the model server's configuration."""
        return _ALL[Executor(self.executor)].make(self, models_config, model, logs, more_flags)


@dataclass(frozen=True)
class _Kind:
    make: Callable[[Place, Path, str, Path, tuple[str, ...]], Pod]
    model_server: Callable[[Place], str]


def _local(place: Place, config: Path, model: str, logs: Path, flags: tuple[str, ...]) -> Pod:
    return LocalPod(str(config), model, logs, memory_limit_mib=place.memory_limit_mib, more_flags=flags)


def _docker(place: Place, config: Path, model: str, logs: Path, flags: tuple[str, ...]) -> Pod:
    images = {program: place.image.format(program=program) for program in ("adapter", "model_server")}
    if place.model_server_image:
        images["model_server"] = place.model_server_image
    return ComposePod(
        str(config),
        model,
        logs,
        images=images,
        original=place.model_server_image is not None,
        memory_limit_mib=place.memory_limit_mib,
        more_flags=flags,
    )


def _kubernetes(place: Place, config: Path, model: str, logs: Path, flags: tuple[str, ...]) -> Pod:
    image = place.model_server_image
    return KubernetesPod(str(config), model, logs, namespace=place.namespace, image=image, more_flags=flags)


_ALL = {
    Executor.LOCAL: _Kind(_local, lambda place: "embedded"),
    Executor.DOCKER: _Kind(_docker, lambda place: f"embedded ({place.image.format(program='model_server')})"),
    Executor.KUBERNETES: _Kind(_kubernetes, lambda place: model_server_image(place.namespace)),
}
