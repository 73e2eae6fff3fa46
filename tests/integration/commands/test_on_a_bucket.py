"""The commands on a registry in a bucket, one after the other, as a user calls them."""

import email.policy
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset import write_sample
from testkit import buckets
from testkit.registries import MODEL, keys_in
from testkit.storage import Place
from tests.commands import call, publish_healthy


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with buckets.emulator() as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        yield Place("bucket", tmp_path)


def test_train_test_promote_and_gc_work_on_a_bucket(place: Place, tmp_path: Path) -> None:
    keys_in(tmp_path).require()  # for a bucket no command makes one
    registry = place.make("one")
    here = ["--registry", place.uri("one"), "--json"]
    write_sample(tmp_path / "sample", images_per_class=12, seed=3)
    dataset = ["--dataset", str(tmp_path / "sample")]

    record = call(
        tmp_path, "training.train", *here, *dataset, "--epochs", "1", "--min-accuracy", "0", "--min-recall", "0"
    )
    assert (record["version"], record["state"]) == (1, "candidate")
    assert not registry.verify(1)

    # One epoch makes no model that passes the tests; this one does.
    publish_healthy(registry, tmp_path / "healthy")
    verdict = call(tmp_path, "testing", *here, *dataset)
    assert (verdict["version"], verdict["passed"]) == (2, True)
    assert verdict["report"] == f"{place.uri('one')}/{MODEL}/reports/2/test.html"

    result = call(tmp_path, "promote", "run", *here, "--yes", "--approver", "ada")
    assert (result["promoted"], result["previous"]) == (2, None)
    assert registry.serving().stable == 2 and not registry.verify(2, "production")
    config = registry.store.read("production/models.config")[0].decode()
    assert f'base_path: "{place.uri("one")}/{MODEL}/production/"' in config
    [mail] = (tmp_path / "outbox").iterdir()
    text = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default).get_body(("plain",)).get_content()
    assert f"--registry {place.uri('one')}" in text

    assert call(tmp_path, "registry", "gc", *here, "--keep", "0", "--yes")["removed"] == [1]
    assert registry.areas(1) == [] and registry.areas(2) == ["testing", "production"]
