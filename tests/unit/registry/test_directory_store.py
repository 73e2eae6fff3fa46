"""What a directory alone has: a clock, locks, links, and editors. The rest is in tests/integration/registry."""

import fcntl
import os
import time
from pathlib import Path

import pytest

from cli.errors import Conflict
from registry import directory
from registry.directory import DirectoryStore


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


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


def test_those_who_share_a_folder_can_take_each_others_locks(store: DirectoryStore) -> None:
    before = os.umask(0o002)
    try:
        store.write("records/1.json", b"one")
    finally:
        os.umask(before)
    assert (store.root / ".locks" / "records%1.json").stat().st_mode & 0o777 == 0o664


def test_listing_names_keys_and_folders_but_nothing_hidden(store: DirectoryStore) -> None:
    store.write("a/2.json", b"")
    store.write("a/1.json", b"")
    store.write("a/sub/x", b"")
    (store.root / "a" / ".hidden").write_bytes(b"")
    assert store.list("a") == ["a/1.json", "a/2.json", "a/sub/"]


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
