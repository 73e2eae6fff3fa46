"""A folder of tiny models as a serving pod loads them, and pictures to ask about."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from testkit.models import write_classifier

MODEL = "chest-xray"
LABELS = ["COVID", "Normal", "Viral Pneumonia"]
SIZE = 32  # pixels


def write_models(folder: Path, versions: Sequence[int] = (1,)) -> str:
    """Writes models that differ by their answers, and the configuration that labels the first "stable"; its path."""
    for version in versions:
        write_classifier(folder / MODEL / str(version), LABELS, SIZE, seed=version)
    wanted = " ".join(f"versions: {version}" for version in versions)
    file = folder / "models.config"
    file.write_text(
        f'model_config_list {{ config {{ name: "{MODEL}" base_path: "{folder / MODEL}" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ {wanted} }} }} "
        f'version_labels {{ key: "stable" value: {versions[0]} }} }} }}'
    )
    return str(file)


def picture() -> bytes:
    """A PNG that grows brighter to the right."""
    data = io.BytesIO()
    Image.linear_gradient("L").rotate(90).save(data, "PNG")
    return data.getvalue()
