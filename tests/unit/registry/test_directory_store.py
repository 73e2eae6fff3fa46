"""What a directory alone has: a clock, locks, links, and editors. The rest is in tests/integration/registry."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.errors import Conflict, InfrastructureError, UsageError
from registry import Keys, directory, manifest_of
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


def test_files_that_others_take_away_meanwhile_do_not_fail_a_write(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first write makes the registry's folder, and sees what another process has staged in it and renames."""
    looked = os.walk

    def walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for name, folders, files in looked(folder):
            yield name, [*folders, "gone"], [*files, "renamed"]

    monkeypatch.setattr(os, "walk", walk)
    store.write("a", b"1")
    assert store.read("a")[0] == b"1"


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


@pytest.fixture
def plain(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
    """On a file system like vfat or SMB: no hard links, times to two seconds, modes that can't be changed."""
    real = os.utime

    def no_link(*arguments: object, **others: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    def coarse(path: Path, ns: tuple[int, int]) -> None:
        real(path, ns=(ns[0] // 2_000_000_000 * 2_000_000_000,) * 2)

    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr(os, "utime", coarse)
    monkeypatch.setattr(os, "chmod", no_link)
    return store


def test_a_file_system_without_links_and_fine_times_will_do(plain: DirectoryStore) -> None:
    plain.require_writable()
    first = plain.write("records/1.json", b"one", if_generation=0)
    with pytest.raises(Conflict, match="exists already"):
        plain.write("records/1.json", b"other", if_generation=0)
    second = plain.write("records/1.json", b"two", if_generation=first)
    with pytest.raises(Conflict, match="changed by somebody else"):
        plain.write("records/1.json", b"late", if_generation=first)
    third = plain.write("records/1.json", b"three", if_generation=second)
    assert first < second < third and plain.read("records/1.json") == (b"three", third)


def test_keys_are_made_without_links(plain: DirectoryStore, tmp_path: Path) -> None:
    keys = Keys.of("", [], str(tmp_path / "registry"))
    keys.require()
    assert len(keys.public_keys()) == 1


@pytest.mark.parametrize(("name", "says"), [("flock", "without locks"), ("rename", "without whole renames")])
def test_a_file_system_that_lacks_what_is_needed_is_refused_before_anything_is_written(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    def lacking(*arguments: object, **others: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl if name == "flock" else os, name, lacking)
    with pytest.raises(UsageError, match=f"{says}.*gs://BUCKET"):
        store.require_writable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.ENOSPC, "No space left on device .*free space"), (errno.EMFILE, "Too many open files .*ulimit -n")],
)
def test_full_disk_is_not_taken_for_a_file_system_that_lacks_something(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    def full(*arguments: object, **others: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InfrastructureError, match=f"can't be written: {told}"):
        store.require_writable()
    assert list(tmp_path.iterdir()) == []


def test_trying_the_file_system_leaves_no_trace(store: DirectoryStore, tmp_path: Path) -> None:
    store.require_writable()
    assert list(tmp_path.iterdir()) == []


def test_what_a_strict_umask_writes_can_be_read_by_those_who_may_read_the_registry(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir(mode=0o755)
    built = tmp_path / "built"
    (built / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index"):
        (built / name).write_bytes(b"x")
        (built / name).chmod(0o600)
    store = DirectoryStore(tmp_path / "registry" / "model")
    before = os.umask(0o077)
    try:
        store.write("production/models.config", b"x")
        store.write("records/1.json", b"x", if_generation=0)
        store.put_folder("production/1", built, manifest_of(built))
    finally:
        os.umask(before)
    keys = ("", "production", "production/models.config", "records", "records/1.json", "production/1")
    files = ("production/1/saved_model.pb", "production/1/variables", "production/1/variables/variables.index")
    for key in (*keys, *files):
        mode = (store.root / key).stat().st_mode & 0o777
        assert mode == (0o755 if (store.root / key).is_dir() else 0o644), key
        assert not mode & 0o022


def test_a_private_registry_stays_private(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir(mode=0o700)
    store = DirectoryStore(tmp_path / "registry" / "model")
    before = os.umask(0o077)
    try:
        store.write("records/1.json", b"x", if_generation=0)
    finally:
        os.umask(before)
    assert (store.root / "records/1.json").stat().st_mode & 0o777 == 0o600
