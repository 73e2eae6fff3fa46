"""Models appear whole, never change, and what differs from the record is named."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cli.errors import UsageError
from contracts.record import Verdict
from registry import Difference, Immutable, Tampered, UnknownVersion, manifest_of
from registry.records import Records
from registry.staging import staged_file, staged_folder, sweep
from testkit.registries import model_folder, open_registry, published


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_published_files_are_those_that_were_built(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    record = published(registry, tmp_path)
    assert record.state == "candidate"
    assert files(Path(registry.store.uri("testing/1"))) == files(tmp_path / "built-1")
    assert set(record.files) == set(files(tmp_path / "built-1"))
    assert not registry.verify(1)


def test_published_version_is_never_overwritten(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    before = files(Path(registry.store.uri("testing/1")))
    with pytest.raises(Immutable, match="never overwritten"):
        registry.publish(1, model_folder(tmp_path / "other", b"other"))
    with pytest.raises(Immutable, match="files never change"):
        registry.update(1, files={})
    assert files(Path(registry.store.uri("testing/1"))) == before


def test_version_that_missed_its_gate_says_so_where_its_files_are_wanted(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    verdict = {"kind": "gate", "passed": False, "reasons": ["accuracy 0.6 < 0.85"], "at": "2026-01-01T00:00:00Z"}
    registry.add_verdict(1, verdict, state="rejected")
    with pytest.raises(UnknownVersion, match=r"Version 1 .* did not pass its training gate.*accuracy 0.6 < 0.85"):
        registry.fetch(1, tmp_path / "clone")


def test_folder_under_the_number_of_an_unpublished_version_is_not_replaced(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    model_folder(Path(registry.store.uri("testing/1")), b"stranger")
    with pytest.raises(Immutable):
        registry.publish(1, model_folder(tmp_path / "built", b"ours"))
    assert registry.record(1).state == "training"


def test_folder_that_appears_while_another_is_published_makes_no_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    mine, theirs = model_folder(tmp_path / "mine", b"mine"), model_folder(tmp_path / "theirs", b"theirs")
    has_folder = registry.store.has_folder

    def late(key: str) -> bool:
        monkeypatch.undo()
        registry.store.put_folder(key, theirs, manifest_of(theirs))
        return has_folder(key)

    monkeypatch.setattr(registry.store, "has_folder", late)
    with pytest.raises(Immutable, match="never overwritten"):
        registry.publish(1, mine)
    assert registry.record(1).state == "training"


def test_folder_without_a_saved_model_is_refused(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "model.h5").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"saved_model\.pb"):
        registry.publish(1, tmp_path / "built")


def test_model_with_a_link_is_not_published(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    built = model_folder(tmp_path / "built")
    (built / "variables" / "variables.index").unlink()
    (built / "variables" / "variables.index").symlink_to("/etc/hostname")
    with pytest.raises(Tampered, match=r"variables/variables\.index"):
        registry.publish(1, built)
    assert registry.store.manifest("testing/1") == {}


def test_verify_lists_extra_missing_and_changed_sorted(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    folder = Path(registry.store.uri("testing/1"))
    (folder / "zz").write_bytes(b"")
    (folder / "aa").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe")
    (folder / "linked").symlink_to(tmp_path / "built-1")
    (folder / "saved_model.pb").unlink()
    (folder / "variables" / "variables.index").write_bytes(b"Index")
    assert registry.verify(1) == Difference(
        extra=("aa", "linked", "pipe", "zz"), missing=("saved_model.pb",), changed=("variables/variables.index",)
    )


def test_file_replaced_by_a_link_to_the_same_bytes_is_changed(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    file = Path(registry.store.uri("testing/1/saved_model.pb"))
    file.unlink()
    file.symlink_to(tmp_path / "built-1" / "saved_model.pb")
    assert registry.verify(1).changed == ("saved_model.pb",)


def test_version_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    folder = Path(registry.store.uri("testing/1"))
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert registry.verify(1).extra == (".",)


def test_fetched_files_are_those_that_were_published(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    target = registry.fetch(1, tmp_path / "clone")
    assert target == tmp_path / "clone" / "1"
    assert files(target) == files(tmp_path / "built-1")
    assert registry.fetch(1, tmp_path / "clone") == target
    assert [path.name for path in (tmp_path / "clone").iterdir()] == ["1"]


def test_tampered_model_is_not_fetched(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    Path(registry.store.uri("testing/1/saved_model.pb")).write_bytes(b"evil")
    with pytest.raises(Tampered, match=r"changed: saved_model\.pb"):
        registry.fetch(1, tmp_path / "clone")
    assert not (tmp_path / "clone").exists()


def test_model_that_is_only_in_production_is_fetched_from_there(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    registry.copy_to_production(1)
    Path(registry.store.uri("testing/1")).rename(tmp_path / "gone")
    assert files(registry.fetch(1, tmp_path / "clone")) == files(tmp_path / "built-1")


def test_version_still_in_training_has_nothing_to_fetch(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    with pytest.raises(UnknownVersion, match="no published files"):
        registry.fetch(1, tmp_path / "clone")


def test_leftovers_of_ended_processes_go_and_those_in_use_stay(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    staging = Path(registry.store.uri("records")).parent / ".staging"
    (staging / "left").mkdir()
    (staging / "left" / "half").write_bytes(b"x")
    holder = (
        "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(f, 2); "
        "print(flush=True); sys.stdin.read()"
    )
    (staging / "used").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(staging / "used")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdout.readline()
        published(registry, tmp_path)
        assert [path.name for path in staging.iterdir()] == ["used"]
    published(registry, tmp_path)
    assert list(staging.iterdir()) == []


def test_sweep_right_after_a_folder_was_made_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    area = tmp_path / "registry" / registry.model / ".staging"
    mkdir, swept = os.mkdir, []

    def late(path: Path, *arguments: int) -> None:
        mkdir(path, *arguments)
        if path.parent == area and not swept:
            swept.append(path)
            sweep(area)

    monkeypatch.setattr(os, "mkdir", late)
    assert registry.publish(1, model_folder(tmp_path / "built")).state == "candidate"
    assert swept and not registry.verify(1)


def test_model_in_the_making_survives_the_publish_of_another(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "built")
    with staged_folder(tmp_path / "area", source, manifest_of(source)) as staged:
        sweep(tmp_path / "area")
        assert files(staged) == files(source)
    with staged_file(tmp_path / "area", b"data") as staged:
        sweep(tmp_path / "area")
        assert staged.read_bytes() == b"data"
    assert list((tmp_path / "area").iterdir()) == []


def test_disk_full_leaves_no_version_and_no_leftovers(tmp_path: Path) -> None:
    """A limit on the size of files fails writes as a full disk does."""
    registry = open_registry(tmp_path)
    registry.create("train")
    built = model_folder(tmp_path / "built", b"w" * 200_000)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            registry.publish(1, built)
        except Exception as error:
            os._exit(getattr(error, "exit_code", 99))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
    assert registry.record(1).state == "training"
    assert registry.store.manifest("testing/1") == {}
    assert registry.publish(1, built).state == "candidate"


REFUSED = Verdict(kind="gate", passed=False, reasons=["the checks of its commit failed"], at="2026-01-01T00:00:00Z")


def test_version_that_awaits_checks_has_files_and_is_no_candidate_before_it_is_admitted(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    record = published(registry, tmp_path, awaits="run")
    assert (record.state, bool(record.files), bool(record.sigstore)) == ("training", True, True)
    assert registry.areas(1) == ["testing"]
    for want in (registry.check_files, registry.copy_to_production, lambda v: registry.fetch(v, tmp_path / "clone")):
        with pytest.raises(UnknownVersion, match=r"Version 1 .* awaits the checks of its commit \(run run\)"):
            want(1)
    # Killed and repeated: publish as well as admit.
    assert registry.publish(1, tmp_path / "built-1").state == "training"
    assert registry.admit(1, checked=True).state == "candidate"
    record = registry.admit(1, checked=True)
    assert (record.state, record.awaits, record.checked) == ("candidate", "", True)
    assert [(entry.action, entry.after) for entry in registry.journal.entries()] == [("publish", "candidate")]
    registry.check_files(1)


def test_admission_that_was_killed_before_its_last_write_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path, awaits="run")
    with monkeypatch.context() as patch:
        patch.setattr(Records, "change", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.admit(1, checked=False)
    assert registry.record(1).state == "training"
    assert registry.admit(1, checked=False).checked is False
    assert len(registry.journal.entries()) == 1


def test_withdrawn_version_is_rejected_with_its_reason_and_its_files_are_gone(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path, awaits="run")
    for _ in range(2):  # as by a call that was killed, and the next one
        record = registry.withdraw(1, REFUSED)
        assert (record.state, record.files, record.awaits, len(record.verdicts)) == ("rejected", {}, "", 1)
    assert registry.areas(1) == []
    for want in (registry.check_files, lambda v: registry.admit(v, checked=True)):
        with pytest.raises(UnknownVersion, match="the checks of its commit failed"):
            want(1)
    # Nor does a training that was not stopped in time bring it back.
    with pytest.raises(Immutable):
        registry.publish(1, tmp_path / "built-1")


def test_candidate_is_not_withdrawn(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    with pytest.raises(Immutable, match="no longer in training"):
        registry.withdraw(1, REFUSED)
    assert registry.areas(1) == ["testing"]
