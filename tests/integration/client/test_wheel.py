"""An application outside of this repository: a fresh virtual environment, the client's wheel, and nothing else."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cli.version import VERSION
from tests.unit.adapter.fakes import FakeModelServer, adapter
from tests.unit.adapter.images import gray
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

NAME = f"trainyard_client-{VERSION}-py3-none-any.whl"
# Where Pants puts it: for a test, and for `./pants package src:client`.
WHEEL = next((path for path in (Path(NAME), Path("dist") / NAME) if path.is_file()), None)
pytestmark = pytest.mark.skipif(WHEEL is None, reason="no wheel here; make it with `./pants package src:client`")

APPLICATION = """
import asyncio, importlib.util, json, sys
from pathlib import Path
from trainyard_client import AsyncClient, AsyncRestClient, BadImage, Client, RestClient, until_serving

image, grpc, rest = Path(sys.argv[1]).read_bytes(), sys.argv[2], sys.argv[3]

async def asked():
    async with AsyncClient(grpc) as client:
        return [await client.classify(image), await AsyncRestClient(rest).classify(image)]

with Client(grpc) as client:
    until_serving(client, 30)
    answers = [client.classify(image), RestClient(rest).classify(image), *asyncio.run(asked())]
    try:
        client.classify(b"hello")
    except BadImage as error:
        refused = str(error)
ours = [name for name in ("serving", "cli", "registry", "tensorflow") if importlib.util.find_spec(name)]
print(json.dumps({"labels": [answer.label for answer in answers], "refused": refused, "ours": ours}))
"""


def pythons():
    """The oldest and the newest interpreter at hand that the wheel is for, and this one."""
    found = {sys.version_info[:2]: sys.executable}
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for python in sorted(home.glob("versions/3.*/bin/python")):
        version = re.match(r"(3)\.(\d+)\.\d+$", python.parent.parent.name)
        if version and int(version[2]) >= 10:
            found[int(version[1]), int(version[2])] = str(python)
    return [found[version] for version in sorted({min(found), max(found)})]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    image = tmp_path_factory.mktemp("images") / "bright.png"
    image.write_bytes(gray(255))
    with FakeModelServer().serving() as model_server, adapter(f"127.0.0.1:{model_server.port}") as it:
        yield str(image), it.grpc, it.http


def test_it_holds_two_packages_and_asks_for_what_the_generated_code_needs():
    with zipfile.ZipFile(WHEEL) as wheel:
        tops = {name.split("/")[0] for name in wheel.namelist()}
        metadata = wheel.read(f"trainyard_client-{VERSION}.dist-info/METADATA").decode()
    assert tops == {"trainyard", "trainyard_client", f"trainyard_client-{VERSION}.dist-info"}
    assert f"Version: {VERSION}\n" in metadata and "Requires-Python: >=3.10\n" in metadata
    needed = {re.match(r"[\w-]+", line)[0] for line in re.findall(r"Requires-Dist: (.+)", metadata)}
    assert needed == {"grpcio", "protobuf"}
    assert f"grpcio>={classifier_pb2_grpc.GRPC_GENERATED_VERSION}" in metadata


@pytest.mark.parametrize("python", pythons())
def test_an_application_needs_the_wheel_and_nothing_else(python, served, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True, env=environment)
    own = tmp_path / "venv" / "bin" / "python"
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", WHEEL.absolute()]
    subprocess.run(pip, check=True, env=environment, cwd=tmp_path)
    # -I: neither this folder nor PYTHONPATH lends it anything.
    command = [own, "-I", "-c", APPLICATION, *served]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["labels"] == ["COVID"] * 4 and said["ours"] == [] and "not an image" in said["refused"]
