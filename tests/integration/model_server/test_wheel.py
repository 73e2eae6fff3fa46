"""The model server by itself: a fresh virtual environment, its wheel, what the wheel asks for, and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import httpx
import pytest

from cli.version import VERSION
from tests.integration.model_server.servers import eventually, free_port

NAME = f"trainyard_model_server-{VERSION}-py3-none-any.whl"
# Where Pants puts it: for a test, and for `./pants package serving:model-server`.
WHEEL = next((path for path in (Path(NAME), Path("dist") / NAME) if path.is_file()), Path())
PAGE = Path("docs/model-server.md")
pytestmark = pytest.mark.skipif(not WHEEL.name, reason="no wheel here; make it: `./pants package serving:model-server`")


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


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment's folder of programs, as `pip install` would make it, by links: TensorFlow is 600 MB."""
    folder = tmp_path_factory.mktemp("wheel") / "venv"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=clean)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, WHEEL.absolute()], check=True, env=clean, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    for distribution in needed(asked_for(), {}).values():
        for path in distribution.files or []:
            top = path.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return folder / "bin"


def asked_for() -> list[str]:
    """The wheel's requirements."""
    with zipfile.ZipFile(WHEEL) as wheel:
        said = wheel.read(f"trainyard_model_server-{VERSION}.dist-info/METADATA").decode()
    assert f"Version: {VERSION}\n" in said
    return re.findall(r"Requires-Dist: (.+)", said)


def test_it_holds_the_server_alone() -> None:
    with zipfile.ZipFile(WHEEL) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert {"/".join(name.split("/")[:2]) for name in names} == {"serving/__init__.py", "serving/model_server"}
    assert "serving/model_server/json_worker.py" in names
    assert not {"keras", "uvloop", "typer", "rich"} & {named(text) for text in asked_for()}


def blocks() -> list[str]:
    """The runs that the page tells of, up to the next heading."""
    part = PAGE.read_text(encoding="utf-8").partition("## Start it\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", part, re.DOTALL)


@pytest.fixture
def place(models: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder in which the page's lines find the tutorial's model."""
    (tmp_path / "half_plus_two").symlink_to(models / "half_plus_two")
    (tmp_path / "models.config").write_text(
        f'model_config_list {{ config {{ name: "half_plus_two" base_path: "{models}/half_plus_two" '
        'model_platform: "tensorflow" } }'
    )
    yield tmp_path


@pytest.mark.parametrize(
    "block", [block for block in blocks() if "trainyard-model-server " in block] if PAGE.exists() else []
)
def test_the_pages_lines_serve_a_model(block: str, own: Path, place: Path) -> None:
    port, rest = free_port(), free_port()
    lines = block.replace("\\\n", " ").replace("8501", str(rest)).replace("8500", str(port))
    if "--port" not in lines:
        lines = lines.replace("trainyard-model-server ", f"trainyard-model-server --port={port} ")
    start, *questions = lines.strip().splitlines()
    environment = {**os.environ, "PATH": f"{own}:{os.environ['PATH']}", "PYTHONPATH": "", "PWD": str(place)}
    log = place / "log"
    with log.open("wb") as file:
        command = ["bash", "-c", "exec " + start.removesuffix("&").strip()]
        running = subprocess.Popen(command, cwd=place, env=environment, stdout=file, stderr=file)
    try:
        eventually(lambda: running.poll() is not None or "Exporting HTTP/REST API" in log.read_text(), 120)
        assert running.poll() is None, log.read_text()
        for question in questions:
            done = subprocess.run(
                ["bash", "-c", question], cwd=place, env=environment, capture_output=True, text=True, check=True
            )
            assert json.loads(done.stdout) == {"predictions": [3.5, 4.0, 5.5]}
        # And what is read in a process of its own.
        large = {"instances": [1.0] * 2_000_000}
        answer = httpx.post(f"http://127.0.0.1:{rest}/v1/models/half_plus_two:predict", json=large, timeout=60)
        assert len(answer.json()["predictions"]) == 2_000_000
    finally:
        running.kill()
        running.wait()
