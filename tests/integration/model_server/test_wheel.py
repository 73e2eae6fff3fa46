"""The model server by itself: a fresh virtual environment, its wheel, what the wheel asks for, and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.model_server.servers import eventually, free_port
from tests.integration.model_server.wheel import WHEEL, asked_for, environment, named, needs_wheel

PAGE = Path("docs/model-server.md")
pytestmark = needs_wheel


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel."""
    return environment(tmp_path_factory.mktemp("wheel") / "venv")


def test_it_holds_the_server_alone() -> None:
    with zipfile.ZipFile(WHEEL) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    parts = {"/".join(name.split("/")[:2]) for name in names}
    assert parts == {"serving/__init__.py", "serving/mailbox.py", "serving/model_server"}
    assert "serving/model_server/json_worker.py" in names
    assert not {"keras", "typer", "rich"} & {named(text) for text in asked_for()}


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


@pytest.mark.parametrize("block", [block for block in blocks() if "trainyard-model-server " in block])
def test_the_pages_lines_serve_a_model(block: str, own: Path, place: Path) -> None:
    port, rest = free_port(), free_port()
    lines = block.replace("\\\n", " ").replace("8501", str(rest)).replace("8500", str(port))
    if "--port" not in lines:
        lines = lines.replace("trainyard-model-server ", f"trainyard-model-server --port={port} ")
    start, *questions = lines.strip().splitlines()
    variables = {**os.environ, "PATH": f"{own}:{os.environ['PATH']}", "PYTHONPATH": "", "PWD": str(place)}
    log = place / "log"
    with log.open("wb") as file:
        command = ["bash", "-c", "exec " + start.removesuffix("&").strip()]
        running = subprocess.Popen(command, cwd=place, env=variables, stdout=file, stderr=file)
    try:
        eventually(lambda: running.poll() is not None or "Exporting HTTP/REST API" in log.read_text(), 120)
        assert running.poll() is None, log.read_text()
        for question in questions:
            done = subprocess.run(
                ["bash", "-c", question], cwd=place, env=variables, capture_output=True, text=True, check=True
            )
            assert json.loads(done.stdout) == {"predictions": [3.5, 4.0, 5.5]}
        # And what is read in a process of its own.
        large = {"instances": [1.0] * 2_000_000}
        answer = httpx.post(f"http://127.0.0.1:{rest}/v1/models/half_plus_two:predict", json=large, timeout=60)
        assert len(answer.json()["predictions"]) == 2_000_000
    finally:
        running.kill()
        running.wait()
