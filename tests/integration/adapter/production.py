"""The configuration of a model server in a test's own folder."""

from collections.abc import Sequence
from pathlib import Path


def write_config(folder: Path, model: str, versions: Sequence[int], **labels: int) -> Path:
    """Writes models.config beside the version folders in `folder`: the versions to load, and their labels."""
    specific = "".join(f" versions: {version}" for version in versions)
    labelled = "".join(f' version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items())
    staged = folder / "models.config.new"
    staged.write_text(
        f'model_config_list {{ config {{ name: "{model}" base_path: "{folder}" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{{specific} }} }}{labelled} }} }}"
    )
    return staged.replace(folder / "models.config")
