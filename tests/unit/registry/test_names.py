"""Names that lead elsewhere are refused before the disk or the network is touched."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.errors import InfrastructureError, UsageError
from contracts import location
from contracts.location import InBucket
from promote.__main__ import app as promote_app
from registry import Registry
from registry.__main__ import app as registry_app
from registry.bucket import BucketStore
from registry.names import check_key, check_model, check_version, is_version
from testkit.registries import MODEL, open_registry, published
from tests.names import NAMES, URIS, VERSIONS

_TOUCHING = ("open", "os.", "shutil.", "socket.", "subprocess.", "glob.")
_heard: list[str] | None = None


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _heard is not None and event.startswith(_TOUCHING):
        _heard.append(f"{event} {arguments!r}")


sys.addaudithook(_hear)  # stays for good, and is silent unless `nothing_touched` listens


@contextmanager
def nothing_touched() -> Iterator[None]:
    """Fails when the interpreter opens, lists, makes, renames or connects to anything."""
    global _heard
    _heard = []
    try:
        yield
        assert _heard == []
    finally:
        _heard = None


def names(*corpora: list[str]) -> list[str]:
    return [name for corpus in corpora for name in corpus]


def test_corpus_is_large() -> None:
    assert min(len(set(NAMES)), len(set(VERSIONS)), len(set(URIS))) >= 50 and len(set(NAMES + VERSIONS + URIS)) >= 200


def _in_bucket(name: str) -> BucketStore:
    place = location.parse(f"gs://{name}", "registry")
    assert isinstance(place, InBucket)
    return BucketStore.open(place, MODEL)


def test_the_listener_hears(tmp_path: Path) -> None:
    for touch in (lambda: os.listdir(tmp_path), lambda: (tmp_path / "x").touch(), lambda: os.mkdir(tmp_path / "y")):
        with pytest.raises(AssertionError), nothing_touched():
            touch()


@pytest.mark.parametrize(
    ("check", "refused"),
    [
        (check_model, names(NAMES)),
        (check_key, names(NAMES)),
        (check_version, names(NAMES, VERSIONS)),
        (_in_bucket, names(NAMES)),
        (_in_bucket, [f"bucket/{name}" for name in NAMES if name]),
    ],
    ids=["model", "key", "version", "bucket", "folder of a bucket"],
)
def test_checks_refuse_the_whole_corpus(check: Callable[[str], object], refused: list[str]) -> None:
    with nothing_touched():
        for name in refused:
            with pytest.raises(UsageError) as raised:
                check(name)
            assert "\n" not in str(raised.value), "one sentence, whatever the name"


def test_names_of_entries_that_are_no_versions_are_passed_over() -> None:
    assert [name for name in names(NAMES, VERSIONS) if is_version(name)] == []


@pytest.mark.parametrize("version", [True, 0, -1, 10**18, 1.0])
def test_numbers_that_are_no_versions_are_refused(version: int) -> None:
    with pytest.raises(UsageError):
        check_version(version)


def test_registry_of_a_hostile_name_is_never_opened() -> None:
    Registry.open("gs://bucket/x", MODEL)  # what it imports is read now
    with nothing_touched():
        for uri in URIS:
            with pytest.raises(UsageError):
                Registry.open(uri, MODEL)
        for name in NAMES:
            for uri in ("registry", "gs://bucket/x"):
                with pytest.raises(UsageError):
                    Registry.open(uri, name)


def test_methods_of_a_registry_refuse_the_corpus(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    calls: list[Callable[[str], object]] = [
        lambda name: registry.save_report(1, name, b""),
        lambda name: registry.read_report(1, name),
    ]
    by_version: list[Callable[[str], object]] = [
        registry.record,  # type: ignore[list-item]
        registry.update,  # type: ignore[list-item]
        registry.areas,  # type: ignore[list-item]
        registry.verify,  # type: ignore[list-item]
        registry.check_files,  # type: ignore[list-item]
        registry.copy_to_production,  # type: ignore[list-item]
        lambda version: registry.publish(version, tmp_path / "built-1"),  # type: ignore[arg-type]
        lambda version: registry.fetch(version, tmp_path / "clone"),  # type: ignore[arg-type]
        lambda version: registry.save_report(version, "x", b""),  # type: ignore[arg-type]
        lambda version: registry.read_report(version, "x"),  # type: ignore[arg-type]
        lambda version: registry.journal.append("x", version),  # type: ignore[arg-type]
    ]
    with nothing_touched():
        for call in calls:
            for name in NAMES:
                with pytest.raises(UsageError):
                    call(name)
        for call in by_version:
            for name in names(NAMES, VERSIONS):
                with pytest.raises(UsageError):
                    call(name)


def test_file_of_a_model_with_a_hostile_name_is_not_published(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    published(registry, tmp_path)
    outside = sorted(path for path in tmp_path.rglob("*") if ".staging" not in path.parts)
    for name in NAMES:
        for call in (
            lambda name=name: registry.store.put_folder("testing/9", tmp_path / "built-1", {name: "0" * 64}),
            lambda name=name: registry.store.copy_folder("testing/1", "production/9", {name: "0" * 64}),
            lambda name=name: registry.store.get_folder("testing/1", tmp_path / "clone", {name: "0" * 64}),
        ):
            with pytest.raises(UsageError):
                call()  # type: ignore[no-untyped-call]
    assert sorted(path for path in tmp_path.rglob("*") if ".staging" not in path.parts) == outside


@pytest.mark.parametrize(
    ("app", "before", "after", "refused"),
    [
        (promote_app, ["list", "--model-name"], [], names(NAMES)),
        (promote_app, ["list", "--registry"], [], names(URIS)),
        (promote_app, ["run", "--yes", "--version"], [], names(NAMES, VERSIONS)),
        (promote_app, ["rollback", "--yes", "--to"], [], names(NAMES, VERSIONS)),
        (promote_app, ["verify", "--"], [], names(NAMES, VERSIONS)),
        (registry_app, ["gc", "--dry-run", "--model-name"], [], names(NAMES)),
        (registry_app, ["gc", "--dry-run", "--registry"], [], names(URIS)),
    ],
    ids=["model", "registry", "run", "rollback", "verify", "gc of a model", "gc of a registry"],
)
def test_commands_refuse_the_corpus_and_change_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    app: object,
    before: list[str],
    after: list[str],
    refused: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINYARD_REGISTRY_URI", str(tmp_path / "registry"))
    for name in refused:
        if name == "" and before[-1] == "--model-name":
            continue  # an empty flag means the default
        result = CliRunner().invoke(app, [*before, name, *after])  # type: ignore[arg-type]
        usage = isinstance(result.exception, UsageError) or result.exit_code == 2
        assert usage, f"{name!r}: {result.output} {result.exception!r}"
    assert list(tmp_path.iterdir()) == []


def test_folder_whose_name_is_too_long_is_no_bug() -> None:
    with pytest.raises(InfrastructureError):
        Registry.open("x" * 5000, MODEL)
