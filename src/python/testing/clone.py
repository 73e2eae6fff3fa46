"""A clone of production: the same two servers with the same flags, the candidate in the place of the stable version."""

from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from cli import UsageError
from registry import PREVIOUS, STABLE, Registry
from serving.pod import ComposePod, KubernetesPod, LocalPod, Pod, model_server_image
from settings import Settings
from trainyard.wire.tensorflow_serving_pb2 import ModelServerConfig  # pants: no-infer-dep

EXECUTORS = ("local", "docker", "kubernetes")
# A version that can't be loaded is told at once; production would try again for minutes.
_FLAGS = ("--max_num_load_retries=0",)


@dataclass(frozen=True)
class Place:
    """Where a clone comes up, and what of."""

    executor: str
    # Of the two programs' images, for Docker; {program} is adapter or model_server.
    image: str
    # TensorFlow Serving's own image, in the place of the embedded server.
    model_server_image: str | None
    # Of processes and of Docker's containers; in a cluster the Deployment says it.
    memory_limit_mib: float
    # Of the Deployment that a clone in a cluster is made of.
    namespace: str

    @classmethod
    def of(cls, settings: Settings, executor: str = "local", model_server_image: str | None = None) -> "Place":
        """What the settings say of a clone of this kind."""
        image, memory = settings.containers.image, settings.serving.memory_mib
        return cls(executor, image, model_server_image, memory, settings.kubernetes.staging)

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise UsageError(f"Executor {self.executor!r} is not known; use {' or '.join(map(repr, EXECUTORS))}.")
        if self.model_server_image and self.executor == "local":
            raise UsageError(
                "--model-server-image needs --executor docker or kubernetes: a process of this machine has no image."
            )

    @property
    def model_server(self) -> str:
        """Which model server answers, for the verdict."""
        if self.model_server_image:
            return self.model_server_image
        if self.executor == "kubernetes":
            return model_server_image(self.namespace)
        return "embedded" if self.executor == "local" else f"embedded ({self.image.format(program='model_server')})"


def fetch(registry: Registry, versions: list[int], folder: Path) -> None:
    """Copies versions to `folder`, so that what is tested is what their records name.

    Raises:
        Tampered: a file is not the one that was published.
    """
    for version in versions:
        registry.fetch(version, folder / registry.model)


def make(model: str, candidate: int, baseline: int | None, folder: Path, place: Place) -> Pod:
    """The clone of what `fetch` brought to `folder`, not yet started.

    Label "stable" is on the candidate, "previous" on production's present version.
    """
    config = ModelServerConfig()
    entry = config.model_config_list.config.add(
        name=model, base_path=str((folder / model).absolute()), model_platform="tensorflow"
    )
    entry.model_version_policy.specific.versions.extend(sorted({candidate, baseline or candidate}))
    entry.version_labels[STABLE] = candidate
    if baseline is not None:
        entry.version_labels[PREVIOUS] = baseline
    file = folder / "models.config"
    file.write_text(text_format.MessageToString(config), "utf-8")
    logs, limit = folder / "logs", place.memory_limit_mib
    if place.executor == "local":
        return LocalPod(str(file), model, logs, memory_limit_mib=limit, more_flags=_FLAGS)
    if place.executor == "kubernetes":
        image = place.model_server_image
        return KubernetesPod(str(file), model, logs, namespace=place.namespace, image=image, more_flags=_FLAGS)
    images = {program: place.image.format(program=program) for program in ("adapter", "model_server")}
    if place.model_server_image:
        images["model_server"] = place.model_server_image
    return ComposePod(
        str(file),
        model,
        logs,
        images=images,
        original=place.model_server_image is not None,
        memory_limit_mib=limit,
        more_flags=_FLAGS,
    )
