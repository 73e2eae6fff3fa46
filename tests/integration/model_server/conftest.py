"""One folder of models and one server for all tests that only ask questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.model_server.servers import Server


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `half_plus_two` (versions 123 and 124), `counter`, `echo` and `slow` (1 and 2)."""
    from tests.integration.model_server import fixtures

    folder = tmp_path_factory.mktemp("models")
    fixtures.half_plus_two(folder / "half_plus_two" / "123")
    fixtures.half_plus_two(folder / "half_plus_two" / "124", offset=3.0)
    fixtures.counter(folder / "counter" / "1")
    fixtures.echo(folder / "echo" / "1")
    fixtures.slow(folder / "slow" / "1", rounds=100)
    fixtures.slow(folder / "slow" / "2", rounds=1)
    return folder


@pytest.fixture(scope="session")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of `half_plus_two` (both versions, labels `stable` and `canary`), `counter`, `echo` and `slow` (1)."""
    folder = tmp_path_factory.mktemp("server")
    config = folder / "models.config"
    config.write_text(
        f"""model_config_list {{
          config {{ name: "half_plus_two" base_path: "{models}/half_plus_two" model_platform: "tensorflow"
                    model_version_policy {{ all {{}} }}
                    version_labels {{ key: "stable" value: 123 }} version_labels {{ key: "canary" value: 124 }} }}
          config {{ name: "counter" base_path: "{models}/counter" model_platform: "tensorflow" }}
          config {{ name: "slow" base_path: "{models}/slow" model_platform: "tensorflow"
                    model_version_policy {{ specific {{ versions: 1 }} }} }}
          config {{ name: "echo" base_path: "{models}/echo" model_platform: "tensorflow" }}
        }}"""
    )
    (folder / "monitoring").write_text("prometheus_config { enable: true }")
    running = Server(
        folder, f"--model_config_file={config}", "--enable_grpc_healthcheck_service",
        f"--monitoring_config_file={folder}/monitoring",
    )  # fmt: skip
    yield running
    running.close()
