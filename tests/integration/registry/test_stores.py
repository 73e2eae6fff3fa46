"""What a directory and a bucket promise alike."""

import os
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from cli.errors import Conflict, DataRefused, UsageError
from registry import Difference, Immutable, Registry, Tampered, UnknownVersion
from registry.errors import Missing
from registry.store import Store
from testkit.registries import model_folder, published
from testkit.storage import Place


@pytest.fixture
def registry(place: Place) -> Registry:
    return place.make("one")


@pytest.fixture
def store(registry: Registry) -> Store:
    return registry.store


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Objects


def test_what_is_written_is_read(store: Store) -> None:
    generation = store.write("a/b.json", b"1")
    assert store.read("a/b.json") == (b"1", generation)
    assert store.read("a/b.json") == (b"1", generation)
    assert store.write("empty", b"") and store.read("empty")[0] == b""


def test_missing_object_is_missing(store: Store) -> None:
    with pytest.raises(Missing):
        store.read("a")
    store.delete("a")
    with pytest.raises(Conflict):
        store.delete("a", if_generation=1)


def test_create_only_refuses_what_exists(store: Store) -> None:
    store.write("a", b"1", if_generation=0)
    with pytest.raises(Conflict):
        store.write("a", b"2", if_generation=0)
    assert store.read("a")[0] == b"1"


def test_replace_refuses_an_older_generation(store: Store) -> None:
    first = store.write("a", b"1", if_generation=0)
    second = store.write("a", b"2", if_generation=first)
    assert second > first
    with pytest.raises(Conflict):
        store.write("a", b"3", if_generation=first)
    with pytest.raises(Conflict):
        store.delete("a", if_generation=first)
    assert store.read("a") == (b"2", second)
    store.delete("a", if_generation=second)
    with pytest.raises(Missing):
        store.read("a")


def test_replacing_what_is_gone_is_a_conflict(store: Store) -> None:
    generation = store.write("a", b"1")
    store.delete("a")
    with pytest.raises(Conflict):
        store.write("a", b"2", if_generation=generation)
    with pytest.raises(Missing):
        store.read("a")


def test_same_bytes_written_by_another_are_no_success(store: Store) -> None:
    first = store.write("a", b"1")
    store.write("a", b"2", if_generation=first)
    with pytest.raises(Conflict):
        store.write("a", b"2", if_generation=first)


def test_listing_names_keys_and_folders_but_nothing_hidden(store: Store) -> None:
    for key in ("a/2.json", "a/1.json", "a/sub/x", "ab/y"):
        store.write(key, b"")
    assert store.list("a") == ["a/1.json", "a/2.json", "a/sub/"]
    assert store.list("nothing") == []


def test_every_key_is_checked(store: Store) -> None:
    calls: list[Callable[[str], object]] = [
        store.read,
        store.delete,
        store.list,
        store.uri,
        store.manifest,
        store.has_folder,
        store.remove_folder,
        lambda key: store.write(key, b""),
        lambda key: store.copy_folder(key, "testing/1", {}),
        lambda key: store.copy_folder("testing/1", key, {}),
        lambda key: store.get_folder(key, Path("x"), {}),
    ]
    for call in calls:
        for key in ("", "../x", "/etc", "a//b", "a/../b", ".staging/x", "a\0b", "a/.b"):
            with pytest.raises(UsageError):
                call(key)


def _count(place: Place, times: int) -> None:
    store = place.open("one").store
    for _ in range(times):
        while True:
            try:
                data, generation = store.read("count")
                store.write("count", str(int(data) + 1).encode(), if_generation=generation)
                break
            except Conflict:
                continue


def _create(place: Place, names: int) -> None:
    store = place.open("one").store
    for name in range(names):
        try:
            store.write(f"winners/{name}", str(os.getpid()).encode(), if_generation=0)
        except Conflict:
            continue
        store.write(f"wins/{name}/{os.getpid()}", b"won")


def _take_versions(place: Place, times: int) -> None:
    registry = place.open("one")
    for _ in range(times):
        registry.create("train", seed=os.getpid())


def _in_processes(target: Callable[..., None], *arguments: object) -> None:
    processes = [get_context("fork").Process(target=target, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def test_no_count_is_lost_between_processes(place: Place, store: Store) -> None:
    store.write("count", b"0")
    _in_processes(_count, place, 15)
    assert store.read("count")[0] == b"60"


def test_one_process_alone_creates_a_name(place: Place, store: Store) -> None:
    _in_processes(_create, place, 20)
    for name in range(20):
        winner = store.read(f"winners/{name}")[0].decode()
        assert store.list(f"wins/{name}") == [f"wins/{name}/{winner}"]


def test_no_version_is_given_twice(place: Place, registry: Registry) -> None:
    _in_processes(_take_versions, place, 5)
    records = registry.records()
    assert [record.version for record in records] == list(range(1, 21))
    seeds = [record.seed for record in records]
    assert all(seeds.count(seed) == 5 for seed in seeds)


# Folders


def test_published_files_are_those_that_were_built(registry: Registry, tmp_path: Path) -> None:
    record = published(registry, tmp_path)
    assert record.state == "candidate"
    assert registry.areas(1) == ["testing"] and not registry.verify(1)
    assert files(registry.fetch(1, tmp_path / "clone")) == files(tmp_path / "built-1")
    assert registry.fetch(1, tmp_path / "clone") == tmp_path / "clone" / "1"
    assert [path.name for path in (tmp_path / "clone").iterdir()] == ["1"]


def test_published_version_is_never_overwritten(registry: Registry, tmp_path: Path) -> None:
    record = published(registry, tmp_path)
    other = model_folder(tmp_path / "other", b"other")
    with pytest.raises(Immutable, match="never overwritten"):
        registry.publish(1, other)
    with pytest.raises(Immutable, match="never overwritten"):
        registry.store.put_folder("testing/1", other, record.files)
    registry.copy_to_production(1)
    with pytest.raises(Immutable, match="never overwritten"):
        registry.store.copy_folder("testing/1", "production/1", record.files)
    assert not registry.verify(1) and not registry.verify(1, "production")


def test_source_that_is_not_as_recorded_makes_no_folder(registry: Registry, tmp_path: Path) -> None:
    built = model_folder(tmp_path / "built")
    registry.create("train")
    with pytest.raises(Tampered, match=r"changed: saved_model\.pb"):
        registry.store.put_folder("testing/1", built, {"saved_model.pb": "0" * 64})
    published(registry, tmp_path)
    spoil(registry, "testing/2/saved_model.pb")
    with pytest.raises(Tampered, match=r"changed: saved_model\.pb"):
        registry.copy_to_production(2)
    with pytest.raises(Tampered, match=r"changed: saved_model\.pb"):
        registry.store.copy_folder("testing/2", "production/2", registry.record(2).files)
    assert [registry.areas(version) for version in (1, 2)] == [[], ["testing"]]
    assert registry.store.list("production") == []


def test_verify_lists_extra_missing_and_changed_sorted(registry: Registry, tmp_path: Path) -> None:
    published(registry, tmp_path)
    for name in ("zz", "assets.extra/more"):
        registry.store.write(f"testing/1/{name}", b"")
    registry.store.delete("testing/1/assets.extra/tf_serving_warmup_requests")
    spoil(registry, "testing/1/variables/variables.index")
    assert registry.verify(1) == Difference(
        extra=("assets.extra/more", "zz"),
        missing=("assets.extra/tf_serving_warmup_requests",),
        changed=("variables/variables.index",),
    )


def test_served_model_without_its_graph_is_missed(registry: Registry, tmp_path: Path) -> None:
    from registry import ServingState

    published(registry, tmp_path)
    registry.copy_to_production(1)
    registry.write_serving(ServingState((1,), {"stable": 1}))
    registry.store.delete("production/1/saved_model.pb")
    assert registry.areas(1) == ["testing", "production"]
    with pytest.raises(Tampered, match=r"missing: saved_model\.pb"):
        registry.check_files(1)


def test_tampered_model_is_not_fetched(registry: Registry, tmp_path: Path) -> None:
    published(registry, tmp_path)
    spoil(registry, "testing/1/saved_model.pb")
    with pytest.raises(Tampered, match=r"changed: saved_model\.pb"):
        registry.fetch(1, tmp_path / "clone")
    assert not (tmp_path / "clone").exists()


def test_missing_file_is_not_fetched(registry: Registry, tmp_path: Path) -> None:
    record = published(registry, tmp_path)
    registry.store.delete("testing/1/variables/variables.index")
    with pytest.raises(DataRefused, match=r"variables/variables\.index"):
        registry.store.get_folder("testing/1", tmp_path / "clone" / "1", record.files)
    assert not list(tmp_path.glob("clone/*"))


def test_removed_folder_is_gone_and_may_be_removed_again(registry: Registry, tmp_path: Path) -> None:
    record = published(registry, tmp_path)
    registry.store.remove_folder("testing/1")
    assert registry.store.list("testing") == [] and registry.store.manifest("testing/1") == {}
    registry.store.remove_folder("testing/1")
    registry.store.put_folder("testing/1", tmp_path / "built-1", record.files)
    assert not registry.verify(1)


def test_version_still_in_training_has_nothing_to_fetch(registry: Registry, tmp_path: Path) -> None:
    registry.create("train")
    with pytest.raises(UnknownVersion, match="no published files"):
        registry.fetch(1, tmp_path / "clone")


def test_model_larger_than_one_piece_of_an_upload_arrives_whole(registry: Registry, tmp_path: Path) -> None:
    registry.create("train")
    built = model_folder(tmp_path / "built", os.urandom(9 << 20))  # beyond 8 MiB uploads are done otherwise
    registry.publish(1, built)
    assert files(registry.fetch(1, tmp_path / "clone")) == files(built)


def spoil(registry: Registry, key: str) -> None:
    registry.store.write(key, b"evil")
