import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit import buckets
from testkit.storage import KINDS, Place


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with buckets.emulator() as address:
        yield address


@pytest.fixture(scope="session")
def proxied(server: str) -> Iterator[buckets.Proxy]:
    with buckets.proxy(server) as made:
        yield made


@pytest.fixture
def proxy(proxied: buckets.Proxy) -> Iterator[buckets.Proxy]:
    """Honest, until it is told to spoil something."""
    proxied.spoil(None)
    yield proxied
    proxied.spoil(None)


@pytest.fixture(params=KINDS)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, proxy: buckets.Proxy, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """An empty place for registries, of each kind in turn."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.address)
    monkeypatch.setenv("OUTBOX", str(tmp_path / "outbox"))
    # What a process has written outlives the process; only a power cut would make a difference.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return Place(request.param, tmp_path)
