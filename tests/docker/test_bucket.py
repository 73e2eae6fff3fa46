"""A clone of containers for a version that is kept in a bucket: the command fetches it, the containers get a folder."""

from pathlib import Path

from dataset import write_sample
from testkit import buckets
from testkit.registries import MODEL, keys_in
from testkit.storage import Place
from tests.commands import call, publish_healthy


def test_version_in_a_bucket_is_tested_in_containers(images, tmp_path: Path, monkeypatch):
    with buckets.emulator() as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        place = Place("bucket", tmp_path)
        keys_in(tmp_path).require()
        registry = place.make("one")
        version = publish_healthy(registry, tmp_path / "healthy")
        write_sample(tmp_path / "sample", images_per_class=12, seed=3)
        here = ["--registry", place.uri("one"), "--dataset", str(tmp_path / "sample"), "--json"]
        verdict = call(tmp_path, "testing", *here, "--executor", "docker")
        assert (verdict["version"], verdict["passed"], verdict["executor"]) == (version, True, "docker")
        assert verdict["model_server"] == "embedded (trainyard/model_server:latest)"
        assert verdict["report"] == f"{place.uri('one')}/{MODEL}/reports/{version}/test.html"
        assert registry.record(version).state == "tested"
