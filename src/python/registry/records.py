"""The records of one model's versions: read, taken and changed so that no two writers overwrite each other."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from contracts.record import TRANSITIONS, Record
from registry.clock import utc_now
from registry.errors import Conflict, Corrupt, Immutable, Missing, UnknownVersion
from registry.names import check_version, is_version
from registry.parallel import read_all
from registry.store import Store

_MOST_TRIES = 100


class Records:
    def __init__(self, store: Store, model: str) -> None:
        self._store = store
        self._model = model

    def create(self, kind: str, least: int, fields: Mapping[str, Any]) -> Record:
        """Takes the next version number, `least` or more, by writing its record in state "training".

        Raises:
            Conflict: others keep taking the numbers.
        """
        first = max([least, *(version + 1 for version in self.versions()[-1:])])
        for version in range(first, first + _MOST_TRIES):
            record = Record(
                **{**fields, "version": version, "kind": kind, "model": self._model},
                state="training",
                created=utc_now(),
            )
            try:
                self._store.write(_key(version), _to_json(record), if_generation=0)
                return record
            except Conflict:
                continue
        raise Conflict(f"{_MOST_TRIES} other runs took a version of '{self._model}' meanwhile; try again.")

    def versions(self) -> list[int]:
        """Those that have a record, ascending."""
        keys = [key for key in self._store.list("records") if key.endswith(".json")]
        names = [key.split("/")[-1].removesuffix(".json") for key in keys]
        return sorted(int(name) for name in names if is_version(name))

    def all(self) -> list[Record]:
        """By ascending version."""
        return read_all(self.read, self.versions())

    def read(self, version: int) -> Record:
        """
        Raises:
            UnknownVersion: there is no such record.
            Corrupt: its JSON can't be parsed.
        """
        return self._read(version)[0]

    def change(self, version: int, decide: Callable[[Record], Mapping[str, Any]]) -> Record:
        """Changes a record by what `decide` makes of its newest form; it is asked again when somebody comes between.

        Raises:
            Immutable: the state can't follow the present one, or the model's files are published already.
        """
        for _ in range(_MOST_TRIES):
            record, generation = self._read(version)
            changed = Record.model_validate({**dict(record), **decide(record)})
            _check_change(record, changed)
            if changed == record:
                return record
            try:
                self._store.write(_key(version), _to_json(changed), if_generation=generation)
                return changed
            except Conflict:
                continue
        raise Conflict(f"The record of version {version} keeps being changed by others; try again.")

    def _read(self, version: int) -> tuple[Record, int]:
        version = check_version(version)
        key = _key(version)
        try:
            data, generation = self._store.read(key)
        except Missing:
            known = self.versions()
            have = f"the newest is {known[-1]}" if known else "there is none yet"
            raise UnknownVersion(
                f"Version {version} of '{self._model}' is not in the registry {self._store.uri('records')}; {have}."
            ) from None
        try:
            record = Record.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            what = ".".join(str(part) for part in first["loc"])
            raise Corrupt(
                f"{self._store.uri(key)} is not a record ({what + ': ' if what else ''}{first['msg']}); "
                "restore it from a copy of the registry."
            ) from None
        if (record.version, record.model) != (version, self._model):
            raise Corrupt(f"{self._store.uri(key)} is the record of another version; restore it from a copy.")
        return record, generation


def _check_change(old: Record, new: Record) -> None:
    if (new.version, new.model) != (old.version, old.model):
        raise Immutable(f"The record of version {old.version} can't become that of another model or version.")
    if new.state != old.state and new.state not in TRANSITIONS[old.state]:
        raise Immutable(f"Version {old.version} is '{old.state}' and can't become '{new.state}'.")
    if old.state != "training" and new.files != old.files:
        raise Immutable(f"Version {old.version} is published; its files never change.")
    if old.state != "training" and new.sigstore != old.sigstore and old.sigstore:
        raise Immutable(f"Version {old.version} is signed; its signature never changes.")


def _key(version: int) -> str:
    return f"records/{version}.json"


def _to_json(record: Record) -> bytes:
    return record.model_dump_json(indent=1).encode() + b"\n"
