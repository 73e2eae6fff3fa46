"""The lines of docs/tensorflow-serving-without-docker.md, as they stand, in one shell."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.model_server.servers import free_port
from tests.integration.model_server.wheel import WHEEL, add_what_it_asks_for, needs_wheel

PAGE = Path("docs/tensorflow-serving-without-docker.md")
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVED = re.compile(r"Save this as `(.+?)`")
pytestmark = [
    needs_wheel,
    pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed"),
    pytest.mark.timeout(280),
]


def test_lines_of_the_tutorial_serve_two_versions_of_a_model(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8").replace("8501", str(free_port())).replace("/home/you", str(tmp_path))
    grpc = free_port()
    text = text.replace("8500", str(grpc)).replace("server --rest", f"server --port={grpc} --rest")
    lines = []
    for block in _BLOCK.finditer(text):
        paragraph = text[: block.start()].rstrip().rpartition("\n\n")[2]
        if saved := _SAVED.search(paragraph):
            (tmp_path / saved[1]).write_text(block["text"])
        elif block["language"] == "sh":
            lines.append(block["text"])
    install, *later = lines
    # What differs from a stranger's machine: the wheel is made already, and TensorFlow is not fetched once more.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3.11").symlink_to(Path(sys.executable).resolve())
    (tmp_path / "dist").mkdir()
    shutil.copy(WHEEL, tmp_path / "dist")
    (tmp_path / "pants").write_text('#!/bin/sh\n[ "$*" = "package serving:model-server" ]\n')
    (tmp_path / "pants").chmod(0o755)
    shell = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PEX"))}
    shell |= {"PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "no_proxy": "127.0.0.1"}
    shell["PATH"] = f"{tmp_path}/bin:{shell['PATH']}"
    run(install, tmp_path, shell)
    add_what_it_asks_for(tmp_path / "serving-env")

    shell["PATH"] = f"{tmp_path}/serving-env/bin:{shell['PATH']}"
    said = run("set -m\n" + "\n".join(later), tmp_path, shell)
    answers = [json.loads(one)["predictions"] for one in re.findall(r'\{"predictions"[^}]*\}', said)]
    expected = [[2.5, 3.0, 4.5], [3.5, 4.0, 5.5], [2.5], [3.5]]
    assert [[pytest.approx(number, abs=0.05) for number in row] for row in expected] == [
        [value for (value,) in answer] for answer in answers
    ], said
    assert "[2.5 3. ] by version 1" in said


def run(lines: str, folder: Path, environment: dict[str, str]) -> str:
    """What a shell prints that runs these; what it left in the background is ended."""
    command = ["bash", "-e", "-c", lines]
    with (folder / "errors").open("w") as errors, (folder / "said").open("w") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=errors, start_new_session=True
        )
        try:
            code = process.wait()
        finally:
            # With job control each background job is a group of its own, in the shell's session.
            for group in groups(process.pid):
                os.killpg(group, signal.SIGKILL)
    assert code == 0, (folder / "errors").read_text()[-3000:]
    return (folder / "said").read_text()


def groups(session: int) -> set[int]:
    """The process groups that there are in a session."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.add(int(fields[2]))
    return found
