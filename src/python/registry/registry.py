"""The versions of one model: records, files, reports, and what is served."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from contracts import location
from contracts.location import InBucket
from contracts.record import TRANSITIONS, Record, Verdict
from registry import serving_config, signing
from registry.clock import utc_now
from registry.directory import DirectoryStore
from registry.errors import (
    Conflict,
    Corrupt,
    Immutable,
    InfrastructureError,
    Missing,
    Tampered,
    UnknownVersion,
    UsageError,
)
from registry.journal import Journal
from registry.keys import Keys
from registry.manifest import NOT_A_FILE, Difference, compare, manifest_of
from registry.names import check_key, check_model, check_version, is_version
from registry.serving_config import ServingState
from registry.several import read_all
from registry.staging import LAST_FILE
from registry.store import Store

Area = Literal["testing", "production"]
AREAS: tuple[Area, ...] = ("testing", "production")
_MOST_TRIES = 100


class Registry:
    """One model's versions in a store. Every method is safe against a kill, and against others at the same time."""

    def __init__(self, store: Store, model: str, keys: Keys | None = None) -> None:
        """With `keys`, what is published is signed, and files whose signature is wrong or missing are refused."""
        self.store = store
        self.model = check_model(model)
        self.keys = keys
        self.journal = Journal(store)

    @classmethod
    def open(cls, uri: str, model: str, keys: Keys | None = None) -> "Registry":
        """The registry at a path, or at gs://BUCKET/FOLDER; nothing is made before the first write.

        Raises:
            UsageError: no path, a kind of place that is not supported, or a file.
            InfrastructureError: the path can't be looked at.
        """
        check_model(model)
        place = location.parse(uri, "registry")
        if isinstance(place, InBucket):
            from registry.bucket import BucketStore  # which takes a second to import

            return cls(BucketStore.open(place, model), model, keys)
        root = place.path.absolute()
        for folder in (root, root / model):
            try:
                in_the_way = folder.exists() and not folder.is_dir()
            except OSError as error:
                raise InfrastructureError(f"The registry {folder} can't be opened: {error.strerror}.") from None
            if in_the_way:
                raise UsageError(f"The registry {folder} is a file, not a folder; name another place with --registry.")
        return cls(DirectoryStore(root / model), model, keys)

    # Records

    def create(self, kind: str, **fields: Any) -> Record:
        """Takes the next version number by writing its record, in state "training"."""
        first = self._last_version() + 1
        for version in range(first, first + _MOST_TRIES):
            record = Record(
                **{**fields, "version": version, "kind": kind, "model": self.model},
                state="training",
                created=utc_now(),
            )
            try:
                self.store.write(_record_key(version), _to_json(record), if_generation=0)
                return record
            except Conflict:
                continue
        raise Conflict(f"{_MOST_TRIES} other runs took a version of '{self.model}' meanwhile; try again.")

    def record(self, version: int) -> Record:
        """
        Raises:
            UnknownVersion: there is no such record.
            Corrupt: its JSON can't be parsed.
        """
        return self._read_record(version)[0]

    def records(self) -> list[Record]:
        """All records by ascending version."""
        return read_all(self.record, self._recorded_versions())

    def update(self, version: int, **changes: Any) -> Record:
        """Changes fields of a record; the values may be models or plain dictionaries."""
        return self.change(version, lambda record: changes)

    def add_verdict(self, version: int, verdict: Verdict | Mapping[str, Any], **changes: Any) -> Record:
        """Adds a verdict to those of a record, and changes other fields with it."""
        added = Verdict.model_validate(verdict)
        return self.change(version, lambda record: {**changes, "verdicts": [*record.verdicts, added]})

    def change(self, version: int, decide: Callable[[Record], Mapping[str, Any]]) -> Record:
        """Changes a record by what `decide` makes of its newest form; it is asked again when somebody comes between.

        Raises:
            Immutable: the state can't follow the present one, or the model's files are published already.
        """
        for _ in range(_MOST_TRIES):
            record, generation = self._read_record(version)
            changes = decide(record)
            changed = Record.model_validate({**dict(record), **changes})
            self._check_change(record, changed)
            if changed == record:
                return record
            try:
                self.store.write(_record_key(version), _to_json(changed), if_generation=generation)
                return changed
            except Conflict:
                continue
        raise Conflict(f"The record of version {version} keeps being changed by others; try again.")

    def _check_change(self, old: Record, new: Record) -> None:
        if (new.version, new.model) != (old.version, old.model):
            raise Immutable(f"The record of version {old.version} can't become that of another model or version.")
        if new.state != old.state and new.state not in TRANSITIONS[old.state]:
            raise Immutable(f"Version {old.version} is '{old.state}' and can't become '{new.state}'.")
        if old.state != "training" and new.files != old.files:
            raise Immutable(f"Version {old.version} is published; its files never change.")
        if old.state != "training" and new.sigstore != old.sigstore and old.sigstore:
            raise Immutable(f"Version {old.version} is signed; its signature never changes.")

    # Files of models

    def publish(self, version: int, folder: Path) -> Record:
        """Takes the SavedModel in `folder` as testing/<version>; the record gets its digests and becomes a candidate.

        A call that was killed may be repeated with the same files.

        Raises:
            Immutable: the version holds another model already.
            UsageError: `folder` is not a SavedModel.
            Tampered: links or special files in the folder, or files changed while they were copied.
        """
        version = check_version(version)
        record = self.record(version)
        files = manifest_of(folder)
        if LAST_FILE not in files:
            raise UsageError(f"{folder} holds no {LAST_FILE}; publish a SavedModel's folder.")
        for name in files:
            check_key(name)
        if links := Difference(changed=tuple(name for name, digest in files.items() if digest == NOT_A_FILE)):
            raise Tampered(f"{folder} holds links or special files ({links}); a model is made of plain files.", links)
        key = f"testing/{version}"
        there = self.store.manifest(key)
        if record.state != "training" or any(files.get(name) != digest for name, digest in there.items()):
            raise Immutable(f"Version {version} of '{self.model}' exists and is never overwritten; take a new version.")
        signature = signing.sign(self.keys, self.model, version, files) if self.keys else {}
        # First what the folder will hold, then the folder, then the word that it is complete.
        self.update(version, files=files, sigstore=signature)
        if not self.store.has_folder(key):
            self.store.put_folder(key, folder, files)
        elif there != files and self.store.manifest(key) != files:  # it has appeared since we looked, or lost a file
            raise Immutable(f"Version {version} of '{self.model}' exists and is never overwritten; take a new version.")
        if not (there and self.journal.tells_of("publish", version)):
            self.journal.append("publish", version, before="training", after="candidate", reason=record.reason)
        return self.change(version, lambda record: self._candidate(record, files))

    def _candidate(self, record: Record, files: Mapping[str, str]) -> dict[str, Any]:
        if record.files != files:
            raise Immutable(f"Version {record.version} was published by another process meanwhile; take a new version.")
        return {"state": "candidate"}

    def sign(self, version: int) -> Record:
        """Signs a version that was published without a signature, as it is now.

        Raises:
            Immutable: it is signed already.
            Tampered: its files are not those of its record.
        """
        record = self._published(version)
        if record.sigstore:
            raise Immutable(f"Version {version} is signed already; look at it with `promote verify {version}`.")
        if self.keys is None:
            raise UsageError("There is no key to sign with; name one with TRAINYARD_SIGNING_KEY.")
        for area in self.areas(version):
            self._check_digests(record, area)
        signed = self.update(version, sigstore=signing.sign(self.keys, self.model, record.version, record.files))
        self.journal.append("sign", version, after=signing.shown(signing.signer_of(signed.sigstore)))
        return signed

    def fetch(self, version: int, destination: Path) -> Path:
        """Copies a version's files to destination/<version>, or leaves what is there and right; all is checked.

        Raises:
            Tampered: the files are not those of the record.
            Unsigned, WrongSignature: nobody that is trusted answers for them.
        """
        record = self._published(version)
        area: Area = "testing" if "testing" in self.areas(version) else "production"
        self._check(record, area)
        target = destination / str(record.version)
        if target.is_dir() and manifest_of(target) == record.files:
            return target
        self.store.get_folder(f"{area}/{record.version}", target, record.files)
        return target

    def copy_to_production(self, version: int) -> None:
        """Makes production/<version> from testing/<version> unless it is there; what is served then has been checked.

        Raises:
            Tampered, Unsigned, WrongSignature: as `check_files`.
        """
        record = self._published(version)
        self.check_files(version)
        if "production" not in self.areas(version):
            self.store.copy_folder(f"testing/{record.version}", f"production/{record.version}", record.files)

    def check_files(self, version: int) -> None:
        """Checks the files that production serves or, before the first promotion, those it would get.

        Raises:
            Tampered: they are not what the record says.
            Unsigned, WrongSignature: nobody that is trusted answers for them.
        """
        record = self._published(version)
        self._check(record, "production" if "production" in self.areas(version) else "testing")

    def areas(self, version: int) -> list[Area]:
        """Where files of a version are, or have to be because servers are told to load them."""
        version = check_version(version)
        return [
            area
            for area in AREAS
            if self.store.has_folder(f"{area}/{version}") or version in self.serving(area).versions
        ]

    def verify(self, version: int, area: Area = "testing") -> Difference:
        """How the files of a version differ from its record, sorted; links and special files count."""
        record = self._published(version)
        return compare(self.store.manifest(f"{area}/{record.version}"), record.files)

    def _check(self, record: Record, area: Area) -> None:
        self._check_digests(record, area)
        if self.keys:
            signing.check(self.keys, record)

    def _check_digests(self, record: Record, area: Area) -> None:
        difference = self.verify(record.version, area)
        if difference:
            where = self.store.uri(f"{area}/{record.version}")
            raise Tampered(
                f"The files of version {record.version} in {where} are not those of its record ({difference}); "
                "put the original files back, or train again.",
                difference,
            )

    def _published(self, version: int) -> Record:
        record = self.record(version)
        if record.removed:
            raise UnknownVersion(
                f"The files of version {version} of '{self.model}' were removed on {record.removed[:10]} to make room; "
                "only its record is left. `promote list` shows which are there."
            )
        if not record.files or record.state == "training":
            raise UnknownVersion(
                f"Version {version} of '{self.model}' has no published files; its training has not ended."
            )
        return record

    # Reports

    def save_report(self, version: int, name: str, data: bytes) -> str:
        """Keeps a report of a version and returns where; one of the same name is replaced."""
        key = f"reports/{check_version(version)}/{check_key(name)}"
        self.store.write(key, data)
        return self.store.uri(key)

    def read_report(self, version: int, name: str) -> bytes | None:
        """A report of a version, or None where none of this name was saved."""
        try:
            return self.store.read(f"reports/{check_version(version)}/{check_key(name)}")[0]
        except Missing:
            return None

    # What is served

    def serving(self, area: Area = "production") -> ServingState:
        """What servers are told to load; nothing before the first promotion.

        Raises:
            Corrupt: models.config can't be parsed.
        """
        key = _config_key(area)
        data, generation = self._read_config(area)
        return serving_config.parse(data, self.model, self.store.uri(key), generation)

    def write_serving(self, state: ServingState, area: Area = "production") -> ServingState:
        """Tells servers to load `state`; returns it with its new generation.

        Raises:
            Conflict: models.config changed since `state.generation` was read.
        """
        key = _config_key(area)
        data, generation = self._read_config(area)
        if generation != state.generation:
            raise Conflict(f"{self.store.uri(key)} was changed by somebody else meanwhile; look at it and try again.")
        text = serving_config.render(state, self.model, self.store.uri(area), data, self.store.uri(key))
        written = self.store.write(key, text, if_generation=generation)
        # Asked only now: whoever removes files marks the record first, and then looks at what is served. So one of
        # the two always notices the other.
        earlier = serving_config.parse(data, self.model, self.store.uri(key), generation)
        for version in set(state.versions) - set(earlier.versions):
            if self._is_removed(version):
                raise Conflict(f"The files of version {version} are being removed by somebody else.")
        return ServingState(state.versions, dict(state.labels), written)

    def models_config(self, area: Area = "production") -> str:
        """Path or URI of the configuration, for a model server's --model_config_file."""
        return self.store.uri(_config_key(area))

    def _is_removed(self, version: int) -> bool:
        try:
            return self.record(version).removed is not None
        except UnknownVersion:  # a configuration made by hand may name what has no record
            return False

    def _read_config(self, area: Area) -> tuple[bytes, int]:
        try:
            return self.store.read(_config_key(area))
        except Missing:
            return b"", 0

    # Keys

    def _read_record(self, version: int) -> tuple[Record, int]:
        version = check_version(version)
        key = _record_key(version)
        try:
            data, generation = self.store.read(key)
        except Missing:
            known = self._recorded_versions()
            have = f"the newest is {known[-1]}" if known else "there is none yet"
            raise UnknownVersion(
                f"Version {version} of '{self.model}' is not in the registry {self.store.uri('records')}; {have}."
            ) from None
        try:
            record = Record.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            what = ".".join(str(part) for part in first["loc"])
            raise Corrupt(
                f"{self.store.uri(key)} is not a record ({what + ': ' if what else ''}{first['msg']}); "
                "restore it from a copy of the registry."
            ) from None
        if (record.version, record.model) != (version, self.model):
            raise Corrupt(f"{self.store.uri(key)} is the record of another version; restore it from a copy.")
        return record, generation

    def _recorded_versions(self) -> list[int]:
        names = [
            key.split("/")[-1].removesuffix(".json") for key in self.store.list("records") if key.endswith(".json")
        ]
        return sorted(int(name) for name in names if is_version(name))

    def _last_version(self) -> int:
        # Folders count too: a number whose record was lost is not given to another model.
        folders = [key.split("/")[1] for area in AREAS for key in self.store.list(area)]
        return max([*self._recorded_versions(), *(int(name) for name in folders if is_version(name))], default=0)


def _record_key(version: int) -> str:
    return f"records/{version}.json"


def _config_key(area: str) -> str:
    return f"{area}/models.config"


def _to_json(record: Record) -> bytes:
    return record.model_dump_json(indent=1).encode() + b"\n"
