"""Registries in both kinds of store, what is done with them, and what must hold of them at any moment.

Every verb starts from copies of one registry: version 1 was in production before, 2 is, 3 and 4 are tested, 5 is to be
published.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promote import intent
from promote.pods import Pods
from promote.rollover import Outcome, Rollover
from registry import Registry, gc
from registry.directory import DirectoryStore
from registry.registry import AREAS
from settings.schema import Mail
from testkit.buckets import FOLDER, make_bucket, open_bucket
from testkit.registries import keys_in, model_folder, open_registry, promotable

BASE = "base"
KINDS = ("directory", "bucket")


@dataclass(frozen=True)
class Place:
    """Where registries of one kind are, by name; those in buckets need STORAGE_EMULATOR_HOST."""

    kind: str
    folder: Path

    def open(self, name: str, patience: float = 60.0) -> Registry:
        """A registry of its own connections, as a new process would have them."""
        if self.kind == "directory":
            return open_registry(self.folder / name)
        return open_bucket(self._bucket(name), keys_in(self.folder), patience)

    def make(self, name: str) -> Registry:
        """An empty registry: a bucket has to be there before it is used."""
        if self.kind == "bucket":
            make_bucket(self._bucket(name))
        return self.open(name)

    def uri(self, name: str) -> str:
        if self.kind == "directory":
            return str(self.folder / name / "registry")
        return f"gs://{self._bucket(name)}/{FOLDER}"

    def copy(self, name: str, target: str) -> None:
        if self.kind == "directory":
            shutil.rmtree(self.folder / target, ignore_errors=True)
            shutil.copytree(self.folder / name, self.folder / target, symlinks=True)
            return
        old, new = (each.store._cloud.bucket for each in (self.open(name), self.make(target)))  # type: ignore[attr-defined]
        for blob in old.list_blobs():
            new.blob(blob.name).rewrite(blob)

    def _bucket(self, name: str) -> str:
        return f"test-{hashlib.sha256(f'{self.folder}/{name}'.encode()).hexdigest()[:20]}"


def make_base(place: Place) -> None:
    registry, folder = place.make(BASE), place.folder / "models"
    for version in range(1, 5):
        promotable(registry, folder)
        if version < 3:
            promote(registry, version)
    assert registry.create("train").version == 5
    model_folder(folder / "new", b"new")


def promote(registry: Registry, version: int, **options: Any) -> Outcome:
    return _rollover(registry, **options).run("promote", version, "ada", "because")


def roll_back(registry: Registry, version: int, **options: Any) -> Outcome:
    return _rollover(registry, **options).run("rollback", version, "ada", "because")


def collect(registry: Registry) -> list[int]:
    """Removes version 3: 1 and 2 are served, 4 is the newest that waits."""
    return [record.version for record in gc.plan(registry, 1).remove if gc.remove(registry, record, "a test")]


def _rollover(registry: Registry, **options: Any) -> Rollover:
    store = registry.store
    outbox = store.root.parent.parent / "outbox" if isinstance(store, DirectoryStore) else Path(os.environ["OUTBOX"])
    return Rollover(registry, Pods([]), Mail(outbox=str(outbox)), timeout=5, **options)


@dataclass(frozen=True)
class Verb:
    name: str
    work: Callable[[Registry, Path], Any]
    # The versions that may be in production afterwards, whatever happened; the last one if all went well.
    stable: tuple[int, ...]
    # An entry of the journal that there must be once after the work, however often it was begun.
    entry: tuple[str, int]
    # What comes after the work was broken off, if not the same again.
    then: Callable[[Registry, Path], Any] | None = None

    def again(self, registry: Registry, folder: Path) -> None:
        (self.then or self.work)(registry, folder)


VERBS = {
    verb.name: verb
    for verb in (
        Verb("publish", lambda registry, folder: _publish(registry, folder), (2,), ("publish", 5)),
        Verb("promote", lambda registry, folder: promote(registry, 3), (2, 3), ("promote", 3)),
        Verb("rollback", lambda registry, folder: roll_back(registry, 1), (2, 1), ("rollback", 1)),
        Verb("gc", lambda registry, folder: collect(registry), (2,), ("gc", 3)),
    )
}
# After one verb was broken off another is called.
SEQUENCES = {
    verb.name: verb
    for verb in (
        Verb(
            "promote, rollback",
            lambda registry, folder: promote(registry, 3),
            (2, 3, 1),
            ("rollback", 1),
            lambda registry, folder: roll_back(registry, 1),
        ),
        Verb(
            "rollback, promote",
            lambda registry, folder: roll_back(registry, 1),
            (2, 1, 3),
            ("promote", 3),
            lambda registry, folder: promote(registry, 3),
        ),
    )
}


def _publish(registry: Registry, folder: Path) -> None:
    if registry.record(5).state == "training":
        registry.publish(5, folder / "models" / "new")


def check(registry: Registry, verb: Verb) -> None:
    """At any moment: what is served is the old model or the new one, and a number stands for a whole model."""
    serving = registry.serving()
    assert serving.stable in verb.stable
    for version in serving.versions:
        assert registry.record(version).state in ("tested", "production", "retired")
        assert not registry.verify(version, "production")
    for area in AREAS:
        for key in registry.store.list(area):
            if key.endswith("/") and registry.store.has_folder(key.rstrip("/")):
                files = registry.record(int(key.split("/")[1])).files
                assert registry.store.manifest(key.rstrip("/")) == files


def check_done(registry: Registry, verb: Verb) -> None:
    """After the work was done, at last: nothing is left of the tries before."""
    check(registry, verb)
    serving, states = registry.serving(), {record.version: record.state for record in registry.records()}
    assert serving.stable == verb.stable[-1]
    assert intent.current(registry) is None
    entries = [(entry.action, entry.version) for entry in registry.journal.entries()]
    assert entries.count(verb.entry) == 1
    assert [version for version, state in states.items() if state == "production"] == [serving.stable]
    assert not any(
        registry.verify(version) for version in states if not registry.record(version).removed and version < 5
    )
    removed = [version for version in states if registry.record(version).removed]
    assert removed == ([3] if verb.name == "gc" else [])
    assert all(registry.areas(version) == [] for version in removed)
    if verb.name == "publish":
        assert states[5] == "candidate" and not registry.verify(5)
