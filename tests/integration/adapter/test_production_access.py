"""An adapter's process with the arguments that production's manifest gives it, and the Secret as a file."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.client import Access, Client, Unauthenticated
from serving.pod import free_port
from tests.integration.adapter.processes import AdapterProcess, adapter_process
from tests.manifests import containers, pods, render
from tests.unit.adapter.fakes import FakeModelServer
from tests.unit.adapter.images import gray

MOUNTED = "/run/secrets/adapter-tokens"
FIRST, SECOND = "token-of-a-caller-1", "token-of-a-caller-2"


def arguments(folder: Path, metrics: int) -> list[str]:
    """The manifest's, but for what an adapter of a test says itself: where it listens, and whom it asks."""
    (pod,) = pods("overlays/production")
    given = [
        argument.replace(MOUNTED, str(folder)).replace("=9102", f"={metrics}")
        for argument in containers(pod)["adapter"]["args"]
        if not re.match(r"--(backend|model|host|http-port|grpc-port)=", argument)
    ]
    assert f"--token-file={folder}/tokens" in given and f"--metrics-port={metrics}" in given
    return given


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "tokens").write_text(f"{FIRST}\n")
    return tmp_path / "tokens"


@pytest.fixture
def running(secret: Path) -> Iterator[tuple[AdapterProcess, str]]:
    """The process, and where its metrics are."""
    assert render("overlays/production")  # skips where there is no kubectl
    port = free_port()
    with (
        FakeModelServer().serving() as server,
        adapter_process(f"127.0.0.1:{server.port}", *arguments(secret.parent, port)) as adapter,
    ):
        yield adapter, f"http://127.0.0.1:{port}/metrics"


def status(url: str, **headers: str) -> int:
    return httpx.get(url, headers=headers, trust_env=False).status_code


def test_probes_and_prometheus_go_on_and_callers_need_a_token(running: tuple[AdapterProcess, str]) -> None:
    adapter, metrics = running
    (pod,) = pods("overlays/production")
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert status(adapter.http + containers(pod)["adapter"][kind]["httpGet"]["path"]) == 200, kind
    assert "trainyard_stable_version" in httpx.get(metrics, trust_env=False).text
    # Not where the gateway could reach it.
    assert status(f"{adapter.http}/metrics", Authorization=f"Bearer {FIRST}") == 404
    for path in ("/v1/model", "/v2/models/chest-xray"):
        assert (status(adapter.http + path), status(adapter.http + path, Authorization=f"Bearer {FIRST}")) == (401, 200)
    with Client(adapter.grpc) as nobody, pytest.raises(Unauthenticated):
        nobody.classify(gray(1))
    with Client(adapter.grpc, access=Access(token=FIRST)) as client:
        assert client.classify(gray(255)).label == "COVID"


def test_changed_secret_counts_without_a_restart(running: tuple[AdapterProcess, str], secret: Path) -> None:
    """As secrets.md changes it: both for a while, then the new one alone."""
    adapter, _ = running

    def known(token: str) -> bool:
        return status(f"{adapter.http}/v1/model", Authorization=f"Bearer {token}") == 200

    def wait(token: str, wanted: bool) -> None:
        end = time.monotonic() + 60
        while known(token) != wanted:
            assert time.monotonic() < end, token
            time.sleep(0.2)

    secret.write_text(f"{FIRST}\n{SECOND}\n")
    wait(SECOND, True)
    assert known(FIRST)
    secret.write_text(f"{SECOND}\n")
    wait(FIRST, False)
    assert known(SECOND)


def test_adapter_without_the_secret_does_not_start_open(secret: Path) -> None:
    secret.unlink()
    with (
        pytest.raises(AssertionError, match="token"),
        adapter_process("127.0.0.1:1", *arguments(secret.parent, free_port())),
    ):
        pass
