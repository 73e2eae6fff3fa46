"""A promotion whose pods are real adapters that want a token and a client certificate, by TLS."""

import base64
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509

from cli.errors import InfrastructureError
from promote.pods import Pods
from promote.rollover import Outcome, Rollover
from registry import Registry
from serving.adapter.access import AccessOptions
from settings.schema import Mail
from testkit.registries import open_registry, promotable
from tests.unit.adapter.fakes import MODEL, FakeModelServer, FakeVersion, adapter
from tests.unit.adapter.images import gray
from tests.unit.client.test_tls import signed_by_itself

TOKEN = "token-of-the-promotion"
# FakeModelServer's answer for this image.
GOLDEN = {"image": base64.b64encode(gray(51)).decode(), "probabilities": [0.2, 0.4, 0.4]}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Version 1 in production, 2 tested."""
    registry = open_registry(tmp_path)
    for _ in range(2):
        promotable(registry, tmp_path, golden=[GOLDEN])
    promote(registry, [], 1)
    return registry


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("adapter.example", "us"):
        key, certificate = signed_by_itself(x509.DNSName(name))
        (tmp_path / f"{name}.key").write_bytes(key)
        (tmp_path / f"{name}.crt").write_bytes(certificate)
    (tmp_path / "tokens").write_text(f"another-token-of-the-test\n{TOKEN}\n")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return tmp_path


def promote(registry: Registry, addresses: list[str], version: int, timeout: float = 20) -> Outcome:
    outbox = Path(registry.store.uri("records")).parent.parent / "outbox"
    rollover = Rollover(registry, Pods(addresses), Mail(outbox=str(outbox)), timeout)
    return rollover.run("promote", version, "ada", "")


def pods(registry: Registry, files: Path, stack: ExitStack) -> list[str]:
    """Addresses of two adapters before a model server that follows the registry."""
    server = FakeModelServer()

    def follow(*_: object) -> None:
        serving = registry.serving()
        server.versions = {
            version: FakeVersion(labels=tuple(registry.record(version).labels)) for version in serving.versions
        }
        server.labels = dict(serving.labels)

    server.before = follow
    follow()
    stack.enter_context(server.serving())
    access = AccessOptions(
        token_file=files / "tokens",
        tls_certificate=files / "adapter.example.crt",
        tls_key=files / "adapter.example.key",
        tls_client_ca=files / "us.crt",
        rate=1000,
        reflection=False,
    )
    backend = f"127.0.0.1:{server.port}"
    return [stack.enter_context(adapter(backend, access=access)).grpc for _ in range(2)]


def test_a_promotion_shows_what_the_settings_name(
    registry: Registry, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registry.model == MODEL
    shown = {
        "TOKEN_FILE": "token",
        "CA": "adapter.example.crt",
        "CERTIFICATE": "us.crt",
        "KEY": "us.key",
    }
    for field, name in shown.items():
        monkeypatch.setenv(f"TRAINYARD_SERVING_{field}", str(files / name))
    monkeypatch.setenv("TRAINYARD_SERVING_SERVER_NAME", "adapter.example")
    with ExitStack() as stack:
        outcome = promote(registry, pods(registry, files, stack), 2)
    assert len(outcome.pods) == 2
    assert (registry.serving().labels, registry.record(2).state) == ({"stable": 2, "previous": 1}, "production")


def test_without_the_token_it_says_so_and_everything_is_put_back(
    registry: Registry, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for field, name in {"CA": "adapter.example.crt", "CERTIFICATE": "us.crt", "KEY": "us.key"}.items():
        monkeypatch.setenv(f"TRAINYARD_SERVING_{field}", str(files / name))
    monkeypatch.setenv("TRAINYARD_SERVING_SERVER_NAME", "adapter.example")
    with ExitStack() as stack, pytest.raises(InfrastructureError, match="wants to know who asks"):
        promote(registry, pods(registry, files, stack), 2, timeout=1)
    assert registry.serving().labels == {"stable": 1}
