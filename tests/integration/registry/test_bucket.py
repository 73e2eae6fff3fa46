"""What a bucket alone has: requests whose answer is lost, folders that come and go object by object, credentials."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.errors import InfrastructureError, UsageError
from contracts.location import InBucket
from registry import Immutable, Registry, cloud
from registry.bucket import BucketStore
from registry.errors import Conflict
from testkit.buckets import Proxy
from testkit.registries import MODEL, model_folder, published
from testkit.storage import Place


@pytest.fixture
def place(tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.address)
    monkeypatch.setattr(cloud, "_FIRST_PAUSE_SECONDS", 0.01)
    return Place("bucket", tmp_path)


@pytest.fixture
def registry(place: Place) -> Registry:
    return place.make("one")


def names(registry: Registry) -> list[str]:
    """Every object of the registry, from its root on."""
    store: Any = registry.store
    return sorted(name.removeprefix(store._root) for name in store._objects.listed(store._root))


def test_own_write_is_known_when_its_answer_was_lost(registry: Registry, proxy: Proxy) -> None:
    first = registry.store.write("a", b"1", if_generation=0)
    for fault in ("503 after", "reset in the answer", "cut answer"):
        proxy.spoil(fault, first=1, count=1)
        first = registry.store.write("a", fault.encode(), if_generation=first)
        assert registry.store.read("a") == (fault.encode(), first)


def test_own_deletion_is_known_when_its_answer_was_lost(registry: Registry, proxy: Proxy) -> None:
    generation = registry.store.write("a", b"1")
    proxy.spoil("503 after", first=1, count=1)
    registry.store.delete("a", if_generation=generation)
    with pytest.raises(Conflict):
        registry.store.delete("a", if_generation=generation)


def test_staged_objects_have_no_number_and_go(registry: Registry, tmp_path: Path) -> None:
    seen: list[str] = []
    store: Any = registry.store
    copy = store._objects.copy

    def watched(source: Any, name: str) -> None:
        seen.append(source.name.removeprefix(store._root).split("/")[0])
        copy(source, name)

    store._objects.copy = watched
    published(registry, tmp_path)
    assert seen == [".staging"] * 4
    assert [name for name in names(registry) if name.startswith(".")] == []


def test_graph_comes_last_and_goes_first(registry: Registry, tmp_path: Path) -> None:
    store: Any = registry.store
    objects = store._objects
    changes: list[str] = []
    for verb in ("copy", "remove"):
        real = getattr(objects, verb)

        def told(*arguments: Any, verb: str = verb, real: Any = real) -> None:
            if not str(arguments[-1]).startswith(store._root + "."):
                changes.append(f"{verb} {arguments[-1].split('/')[-1]}")
            real(*arguments)

        setattr(objects, verb, told)
    published(registry, tmp_path)
    store.remove_folder("testing/1")
    assert changes.index("copy saved_model.pb") == 3
    assert changes.index("remove saved_model.pb") == 4 and len(changes) == 8


def half_made(registry: Registry, tmp_path: Path) -> Path:
    """A version whose publishing ended before its graph appeared."""
    registry.create("train")
    built = model_folder(tmp_path / "built")
    registry.store.write("testing/1/variables/variables.index", (built / "variables" / "variables.index").read_bytes())
    return built


def test_half_made_folder_is_not_there_and_its_number_is_not_given_again(registry: Registry, tmp_path: Path) -> None:
    half_made(registry, tmp_path)
    assert registry.areas(1) == []
    registry.store.delete("records/1.json")
    assert registry.create("train").version == 2


def test_half_made_folder_is_finished_by_the_same_files(registry: Registry, tmp_path: Path) -> None:
    assert registry.publish(1, half_made(registry, tmp_path)).state == "candidate"
    assert not registry.verify(1)


def test_half_made_folder_of_other_files_is_left_alone(registry: Registry, tmp_path: Path) -> None:
    built = half_made(registry, tmp_path)
    before = registry.store.read("testing/1/variables/variables.index")
    (built / "variables" / "variables.index").write_bytes(b"another")
    with pytest.raises(Immutable, match="take a new version"):
        registry.publish(1, built)
    with pytest.raises(Immutable, match="part of another model"):
        registry.store.put_folder("testing/1", built, {"saved_model.pb": "0" * 64})
    assert registry.store.read("testing/1/variables/variables.index") == before
    assert registry.areas(1) == []


def test_objects_that_stand_for_empty_folders_are_passed_over(registry: Registry, tmp_path: Path) -> None:
    record = published(registry, tmp_path)
    store: Any = registry.store
    for folder in ("testing/", "testing/1/", "testing/1/assets/", "records/"):
        store._cloud.bucket.blob(store._root + folder).upload_from_string(b"")
    assert registry.store.manifest("testing/1") == record.files
    assert [r.version for r in registry.records()] == [1] and registry.areas(1) == ["testing"]
    assert "records/" not in registry.store.list("records")


def test_server_that_is_down_is_told_of_in_a_sentence(registry: Registry, proxy: Proxy, place: Place) -> None:
    proxy.spoil("503")
    with pytest.raises(InfrastructureError, match=r"gs://test-\w+ can't be used.*run the same command again"):
        place.open("one", patience=0.05).records()


def test_refused_access_names_the_role(place: Place, proxy: Proxy) -> None:
    place.make("one")
    proxy.spoil("403")
    with pytest.raises(InfrastructureError, match=r"Storage Object User .* managed folder"):
        place.open("one").create("train")


def test_bucket_that_is_not_there_is_told_of(place: Place, tmp_path: Path) -> None:
    missing = place.open("never made")
    for call in (missing.records, lambda: missing.create("train"), lambda: missing.store.write("x", b"")):
        with pytest.raises(InfrastructureError, match="does not exist"):
            call()  # type: ignore[operator]


def test_reports_open_in_a_browser_and_nothing_is_cached(registry: Registry) -> None:
    where = registry.save_report(1, "test.html", b"<p>")
    assert where.startswith("gs://test-") and where.endswith(f"/registry/{MODEL}/reports/1/test.html")
    blob = registry.store._get("reports/1/test.html")  # type: ignore[attr-defined]
    assert (blob.content_type, blob.cache_control) == ("text/html", "no-store")


def test_address_is_taken_apart(place: Place) -> None:
    for uri in ("gs://bucket/registry", "gs://bucket/registry/"):
        assert Registry.open(uri, MODEL).models_config() == f"gs://bucket/registry/{MODEL}/production/models.config"
    assert Registry.open("gs://bucket", MODEL).store.uri("x") == f"gs://bucket/{MODEL}/x"
    assert Registry.open("gs://my.domain_2/a b/c", MODEL).store.uri("x") == f"gs://my.domain_2/a b/c/{MODEL}/x"


def test_without_credentials_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No emulator: credentials are looked for, here in vain."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with pytest.raises(UsageError, match="gcloud auth application-default login"):
        BucketStore.open(InBucket("bucket"), MODEL).read("x")


def test_folder_registries_import_nothing_of_google_cloud() -> None:
    code = (
        "import sys; from registry import Registry; Registry.open('/nowhere', 'm').records(); "
        "assert not [name for name in sys.modules if name.startswith(('google.cloud', 'google.auth', 'requests'))]"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
