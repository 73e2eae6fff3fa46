"""A clone of production: the same two servers with the same flags, the candidate in the place of the stable version."""

from pathlib import Path

from google.protobuf import text_format

from registry import PREVIOUS, STABLE, Registry
from serving.pod import LocalPod
from trainyard.wire.tensorflow_serving_pb2 import ModelServerConfig  # pants: no-infer-dep


def make(registry: Registry, candidate: int, baseline: int | None, folder: Path) -> LocalPod:
    """The clone, not yet started: label "stable" on the candidate, "previous" on production's present version.

    The versions' files are copied to `folder` and their digests checked on the way, so what is tested is what the
    record names.

    Raises:
        Tampered: a file is not the one that was published.
    """
    models = folder / registry.model
    versions = [candidate] if baseline is None else sorted([candidate, baseline])
    for version in versions:
        registry.fetch(version, models)
    config = ModelServerConfig()
    entry = config.model_config_list.config.add(
        name=registry.model, base_path=str(models.absolute()), model_platform="tensorflow"
    )
    entry.model_version_policy.specific.versions.extend(versions)
    entry.version_labels[STABLE] = candidate
    if baseline is not None:
        entry.version_labels[PREVIOUS] = baseline
    file = folder / "models.config"
    file.write_text(text_format.MessageToString(config), "utf-8")
    return LocalPod(str(file), registry.model, folder / "logs")
