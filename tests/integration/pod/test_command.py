"""The command that serves a model's production version, as a user types it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import InfrastructureError, UsageError
from serving.client import Client
from serving.pod.__main__ import app
from testkit.pods import MODEL, picture, write_models
from testkit.registries import open_registry, promotable, published


def in_production(folder, versions):
    """Puts models into the registry's production area, the first of them stable."""
    config = Path(write_models(folder / "made", versions))
    area = folder / "registry" / MODEL / "production"
    area.mkdir(parents=True, exist_ok=True)
    config.rename(area / "models.config")


def refusal(folder, *more):
    arguments = ["--registry", str(folder / "registry"), *more]
    return CliRunner().invoke(app, arguments).exception


@pytest.fixture
def serving(tmp_path, flags):
    """The command under way, on free ports; its lines so far, up to the one that is waited for."""
    in_production(tmp_path, [1, 2])
    command = [sys.executable, "-m", "serving.pod", "--registry", str(tmp_path / "registry")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, "--http-port=0", "--grpc-port=0", *flags],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        said = []

        def until(line):
            for one in process.stderr:
                said.append(one.rstrip())
                if re.search(line, one):
                    return said
            raise AssertionError(f"it ended: {said}")

        process.until = until
        yield process
        process.kill()


@pytest.mark.parametrize(("flags", "number"), [([], signal.SIGTERM), (["--explain"], signal.SIGINT)])
def test_serves_follows_a_promotion_and_ends_cleanly(serving, tmp_path, flags, number):
    said = serving.until("Serving version 1$")
    page, address = (next(line for line in said if line.startswith(what)).split()[1] for what in ("Page", "gRPC"))
    told = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{page}v1/model", timeout=30)
    assert json.load(told)["explains"] == bool(flags)
    with Client(address) as client:
        assert client.classify(picture()).version == 1
        in_production(tmp_path, [2, 1])
        serving.until("Serving version 2$")
        assert client.classify(picture()).version == 2
    # Ctrl-C in a terminal goes to the whole group; whoever asks twice does not cut the clean-up short.
    for _ in range(2):
        os.killpg(serving.pid, number)
    *_, last = serving.stderr
    assert last.startswith("Stopping")
    assert serving.wait(60) == 0
    assert list(tmp_path.glob(".trainyard/serving/*/*.log")), "logs stay"
    host, port = address.split(":")
    with pytest.raises(OSError):
        socket.create_connection((host, int(port)), 5)


def test_without_a_version_in_production_the_next_command_is_named(tmp_path):
    error = refusal(tmp_path)
    assert isinstance(error, UsageError)
    assert "is in production yet; train, test and promote one first: ./pants run src/python/training:train" in str(
        error
    )

    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    assert "test one and promote it first: ./pants run src/python/testing:test_model" in str(refusal(tmp_path))

    promotable(registry, tmp_path)
    said = str(refusal(tmp_path))
    assert f"promote one first: ./pants run src/python/promote -- run --registry {tmp_path / 'registry'}" in said


def test_port_that_is_taken_is_named_before_anything_starts(tmp_path):
    in_production(tmp_path, [1])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = refusal(tmp_path, "--http-port", str(port))
    assert isinstance(error, InfrastructureError)
    assert f"Port {port} on 127.0.0.1 can't be opened" in str(error) and "--http-port" in str(error)
    assert not (tmp_path / ".trainyard").exists()
