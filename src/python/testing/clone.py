"""A clone of production: the same two servers with the same flags, the candidate in the place of the stable version."""

from pathlib import Path

from google.protobuf import text_format

from registry import PREVIOUS, STABLE, Registry
from serving.pod import Place, Pod
from trainyard.wire.tensorflow_serving_pb2 import ModelServerConfig  # pants: no-infer-dep

__all__ = ["Place", "fetch", "make"]

# A version that can't be loaded is told at once; production would try again for minutes.
_FLAGS = ("--max_num_load_retries=0",)


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
    return place.pod(file, model, folder / "logs", _FLAGS)
