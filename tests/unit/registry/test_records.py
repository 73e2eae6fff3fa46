"""Records: numbers are taken once, changes are not lost, and what can't be read is named."""

import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from cli.errors import Conflict, InfrastructureError, UsageError
from registry import BadName, Corrupt, Immutable, Registry, UnknownVersion
from testkit.registries import MODEL, metrics, open_registry, published


def test_versions_count_up_from_one(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    assert [registry.create("train").version for _ in range(3)] == [1, 2, 3]
    assert [record.version for record in registry.records()] == [1, 2, 3]


def test_number_of_a_model_whose_record_is_lost_is_not_given_again(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    Path(registry.store.uri("records/1.json")).unlink()
    assert registry.create("train").version == 2


def test_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    written = registry.create(
        "retrain", parent=3, seed=7, metrics={"test": metrics(0.9)}, parameters={"a": [1, 2.5]}, reason="data"
    )
    assert registry.record(1) == written
    assert registry.record(1).metrics.test.per_class["Normal"].recall == 0.8


def test_unknown_field_is_refused(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    with pytest.raises(ValidationError):
        registry.create("train", colour="red")
    assert registry.records() == []


def test_no_change_is_lost_when_many_write_the_same_record(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")

    def judge(number: int) -> None:
        verdict = {"kind": "test", "passed": True, "reasons": [str(number)], "at": "2026-01-01T00:00:00Z"}
        registry.add_verdict(1, verdict)

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {verdict.reasons[0] for verdict in registry.record(1).verdicts} == {str(number) for number in range(12)}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (["candidate", "tested", "production", "retired", "production"], True),
        (["candidate", "rejected", "tested"], True),
        (["tested"], False),
        (["production"], False),
        (["candidate", "production"], False),
        (["candidate", "rejected", "production"], False),
        (["candidate", "tested", "production", "rejected"], False),
    ],
)
def test_states_follow_one_another_as_designed(tmp_path: Path, path: list[str], allowed: bool) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    *before, last = path
    for state in before:
        registry.update(1, state=state)
    if allowed:
        assert registry.update(1, state=last).state == last
    else:
        with pytest.raises(Immutable, match=f"can't become '{last}'"):
            registry.update(1, state=last)


def test_record_that_is_not_json_is_named(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    path = Path(registry.store.uri("records/1.json"))
    path.write_text('{"version": 1, "model":')
    with pytest.raises(Corrupt, match=str(path)):
        registry.records()


def test_record_of_another_version_is_not_taken_for_this_one(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    registry.create("train")
    first, second = (Path(registry.store.uri(f"records/{version}.json")) for version in (1, 2))
    second.write_bytes(first.read_bytes())
    with pytest.raises(Corrupt, match="another version"):
        registry.record(2)


def test_unknown_version_tells_the_newest(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    with pytest.raises(UnknownVersion, match="newest is 1"):
        registry.record(2)


@pytest.mark.parametrize("version", ["../1", "01", "0", 0, -1, True, "1 ", "1\n", "1/2", "", "１", 10**18])
def test_versions_that_are_not_plain_numbers_are_refused(tmp_path: Path, version: int) -> None:
    registry = open_registry(tmp_path)
    with pytest.raises(BadName):
        registry.record(version)


@pytest.mark.parametrize("model", ["", ".", "..", "a/b", "../x", "A", "ä", "a b", "-a", "a\n", "a" * 64])
def test_model_names_that_are_not_plain_are_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(BadName):
        Registry.open(str(tmp_path), model)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a//b", "a/../../b", ".hidden", "", "a\\b", "a\0b", "a\nb", "a/", "x" * 300, "a."]
)
def test_report_names_that_are_not_plain_are_refused(tmp_path: Path, name: str) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")
    with pytest.raises(BadName):
        registry.save_report(1, name, b"x")
    with pytest.raises(BadName):
        registry.read_report(1, name)
    assert not (tmp_path / "registry" / MODEL / "reports").exists()


def test_report_is_found_where_it_was_said_to_be(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.save_report(1, "test.html", b"first")
    assert Path(registry.save_report(1, "test.html", b"second")).read_bytes() == b"second"
    assert registry.read_report(1, "test.html") == b"second"


def test_report_that_was_not_saved_is_none(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    assert registry.read_report(1, "test.html") is None
    registry.save_report(1, "test.html", b"first")
    assert registry.read_report(1, "confusion.png") is None
    assert registry.read_report(2, "test.html") is None


@pytest.mark.parametrize("uri", ["s3://bucket/registry", "gs://", "gs:bucket", "~nobody-of-this-name/registry", ""])
def test_place_that_is_not_a_folder_is_refused(uri: str) -> None:
    with pytest.raises(UsageError):
        Registry.open(uri, MODEL)


def test_registry_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("")
    with pytest.raises(UsageError, match="is a file, not a folder; name another place with --registry"):
        open_registry(tmp_path)


def test_registry_whose_path_is_too_long_is_refused() -> None:
    with pytest.raises(InfrastructureError, match="can't be opened: File name too long"):
        Registry.open("/" + "x" * 300, MODEL)


def test_opening_a_registry_makes_nothing(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    assert registry.records() == []
    assert registry.serving().versions == ()
    assert list(tmp_path.iterdir()) == []


def test_registry_that_cannot_be_written_is_told_in_one_sentence() -> None:
    # Not even root can make a folder there.
    registry = Registry.open("/proc/registry", MODEL)
    with pytest.raises(InfrastructureError, match="can't be written"):
        registry.create("train")


def test_change_gives_up_when_others_always_come_first(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    registry.create("train")

    def with_a_rival(record: object) -> dict[str, object]:
        key = "records/1.json"
        registry.store.write(key, registry.store.read(key)[0])
        return {"reason": "mine"}

    with pytest.raises(Conflict):
        registry.change(1, with_a_rival)


def test_journal_keeps_order_and_numbers(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    for version in (3, 1, 2):
        registry.journal.append("promote", version, before=None, after=version, reason="why", who="ada")
    entries = registry.journal.entries()
    assert [entry.version for entry in entries] == [3, 1, 2]
    assert (entries[0].who, entries[0].after, entries[0].reason) == ("ada", 3, "why")
    assert registry.store.list("journal") == [f"journal/{number:08}.json" for number in (1, 2, 3)]


def test_journal_entries_of_many_at_once_all_stay(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    threads = [threading.Thread(target=registry.journal.append, args=("test", version)) for version in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {entry.version for entry in registry.journal.entries()} == set(range(1, 17))
