"""Objects in a directory: created once, replaced only by who has seen the newest."""

import fcntl
import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from cli.errors import Conflict
from registry import directory
from registry.directory import DirectoryStore
from registry.errors import Missing


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def test_what_is_written_is_read(store: DirectoryStore) -> None:
    generation = store.write("a/b.json", b"1")
    assert store.read("a/b.json") == (b"1", generation)


def test_missing_object_is_missing(store: DirectoryStore) -> None:
    with pytest.raises(Missing):
        store.read("a")
    store.delete("a")
    with pytest.raises(Conflict):
        store.delete("a", if_generation=1)


def test_create_only_refuses_what_exists(store: DirectoryStore) -> None:
    store.write("a", b"1", if_generation=0)
    with pytest.raises(Conflict):
        store.write("a", b"2", if_generation=0)
    assert store.read("a")[0] == b"1"


def test_replace_refuses_an_older_generation(store: DirectoryStore) -> None:
    first = store.write("a", b"1", if_generation=0)
    second = store.write("a", b"2", if_generation=first)
    with pytest.raises(Conflict):
        store.write("a", b"3", if_generation=first)
    with pytest.raises(Conflict):
        store.delete("a", if_generation=first)
    assert store.read("a") == (b"2", second)
    store.delete("a", if_generation=second)


def test_generation_grows_even_when_the_clock_goes_back(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.write("a", b"1")
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    second = store.write("a", b"1", if_generation=first)
    assert first < second < store.write("a", b"1", if_generation=second)


def test_edit_by_hand_changes_the_generation(store: DirectoryStore) -> None:
    generation = store.write("a", b"1")
    Path(store.uri("a")).write_bytes(b"by hand")
    with pytest.raises(Conflict):
        store.write("a", b"2", if_generation=generation)


def test_waiting_for_a_lock_ends(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("a", b"1")
    monkeypatch.setattr(directory, "LOCK_WAIT_SECONDS", 0.05)
    with (store.root / ".locks" / "a").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="locked by another process"):
            store.write("a", b"2")
    store.write("a", b"2")


def test_listing_names_keys_and_folders_but_nothing_hidden(store: DirectoryStore) -> None:
    store.write("a/2.json", b"")
    store.write("a/1.json", b"")
    store.write("a/sub/x", b"")
    (store.root / "a" / ".hidden").write_bytes(b"")
    assert store.list("a") == ["a/1.json", "a/2.json", "a/sub/"]
    assert store.list("nothing") == []


def test_object_that_is_a_link_is_not_followed(store: DirectoryStore, tmp_path: Path) -> None:
    store.write("a/x", b"1")
    (tmp_path / "secret").write_bytes(b"secret")
    (store.root / "a" / "y").symlink_to(tmp_path / "secret")
    with pytest.raises(Exception, match="can't be read"):
        store.read("a/y")


def test_replacing_a_link_leaves_what_it_points_to(store: DirectoryStore, tmp_path: Path) -> None:
    store.write("a/x", b"1")
    (tmp_path / "secret").write_bytes(b"secret")
    (store.root / "a" / "y").symlink_to(tmp_path / "secret")
    store.write("a/y", b"2")
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert store.read("a/y")[0] == b"2"


def _count(root: Path, times: int) -> None:
    store = DirectoryStore(root)
    for _ in range(times):
        while True:
            try:
                data, generation = store.read("count")
                store.write("count", str(int(data) + 1).encode(), if_generation=generation)
                break
            except Conflict:
                continue


def _create(root: Path, names: int) -> None:
    store = DirectoryStore(root)
    for name in range(names):
        try:
            store.write(f"winners/{name}", str(os.getpid()).encode(), if_generation=0)
        except Conflict:
            continue
        store.write(f"wins/{name}/{os.getpid()}", b"won")


def _in_processes(target: Callable[..., None], *arguments: object) -> None:
    processes = [get_context("fork").Process(target=target, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def test_no_count_is_lost_between_processes(store: DirectoryStore) -> None:
    store.write("count", b"0")
    _in_processes(_count, store.root, 25)
    assert store.read("count")[0] == b"100"


def test_one_process_alone_creates_a_name(store: DirectoryStore) -> None:
    _in_processes(_create, store.root, 20)
    for name in range(20):
        winner = store.read(f"winners/{name}")[0].decode()
        assert store.list(f"wins/{name}") == [f"wins/{name}/{winner}"]
