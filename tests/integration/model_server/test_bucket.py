"""Models served from a bucket: TensorFlow reads it by itself, and a promotion there reaches the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from promote.pods import Pods
from promote.rollover import Rollover
from registry import Registry
from settings.schema import Mail
from testkit import buckets
from testkit.models import write_classifier
from testkit.registries import LABELS, MODEL, keys_in
from tests.integration.model_server.google import google
from tests.integration.model_server.servers import Server, eventually

SIZE = 32  # pixels


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Versions 1 and 2, of which 1 is in production."""
    folder = tmp_path_factory.mktemp("bucket")
    with google(folder) as (address, environment), pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", address)
        for name, value in environment.items():
            patch.setenv(name, value)
        keys_in(folder).require()
        buckets.make_bucket("bucket-one")
        made = Registry.open("gs://bucket-one/registry", MODEL, keys_in(folder))
        for number in (1, 2):
            record = made.create("train", labels=LABELS, image_size=SIZE)
            write_classifier(folder / str(number), LABELS, SIZE, seed=number)
            made.publish(number, folder / str(number))
            made.add_verdict(number, {"kind": "test", "passed": True, "at": record.created}, state="tested")
        promote(made, 1, folder)
        yield made


def promote(registry: Registry, version: int, folder: Path) -> None:
    mail = Mail(outbox=str(folder / "outbox"))
    Rollover(registry, Pods([]), mail, 10.0, say=lambda line: None).run("promote", version, "ada", "a test")


@pytest.fixture(scope="module")
def server(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(
        tmp_path_factory.mktemp("server"),
        f"--model_config_file={registry.models_config()}",
        "--model_config_file_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models",
        alone=True,  # TensorFlow's library reads variables on buckets when it is loaded
    )
    yield running
    running.close()


def stable(server: Server) -> str:
    return str(server.http.get(f"/v1/models/{MODEL}/labels/stable").json()["model_version_status"][0]["version"])


def test_server_serves_from_a_bucket_and_follows_a_promotion_there(
    registry: Registry, server: Server, tmp_path: Path
) -> None:
    assert registry.models_config().startswith("gs://")
    assert stable(server) == "1" and server.states(MODEL) == {1: "AVAILABLE"}
    promote(registry, 2, tmp_path)
    eventually(lambda: stable(server) == "2")
    # The one before stays, for a rollback within seconds.
    eventually(lambda: server.states(MODEL) == {1: "AVAILABLE", 2: "AVAILABLE"})
