"""The model server's wheel, in an environment made as `pip install` would make it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from cli.version import VERSION

NAME = f"trainyard_model_server-{VERSION}-py3-none-any.whl"
# Where Pants puts it: for a test, and for `./pants package serving:model-server`.
WHEEL = next((path for path in (Path(NAME), Path("dist") / NAME) if path.is_file()), Path())
needs_wheel = pytest.mark.skipif(
    not WHEEL.name, reason="no wheel here; make it: `./pants package serving:model-server`"
)


def needed(requirements: list[str], found: dict[str, metadata.Distribution]) -> dict[str, metadata.Distribution]:
    """What is asked for, and what that asks for. Not installed is only what is for other systems, or for an extra."""
    for text in requirements:
        name = named(text)
        if name in found or "extra ==" in text:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        needed(found[name].requires or [], found)
    return found


def named(requirement: str) -> str:
    """The project that a requirement names."""
    match = re.match(r"[\w.-]+", requirement)
    assert match, requirement
    return match[0].lower().replace("_", "-")


def asked_for() -> list[str]:
    """The wheel's requirements."""
    with zipfile.ZipFile(WHEEL) as wheel:
        said = wheel.read(f"trainyard_model_server-{VERSION}.dist-info/METADATA").decode()
    assert f"Version: {VERSION}\n" in said
    return re.findall(r"Requires-Dist: (.+)", said)


def environment(folder: Path) -> Path:
    """A virtual environment with the wheel in it; its folder of programs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=clean)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, WHEEL.absolute()], check=True, env=clean, cwd=folder)
    add_what_it_asks_for(folder)
    return folder / "bin"


def add_what_it_asks_for(folder: Path) -> None:
    """Into a virtual environment, by links: TensorFlow is 600 MB."""
    (site,) = folder.glob("lib/python*/site-packages")
    for distribution in needed(asked_for(), {}).values():
        for path in distribution.files or []:
            top = path.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
