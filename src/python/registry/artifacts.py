"""The files of one model's versions: published once, checked whenever they are read."""

from collections.abc import Mapping
from pathlib import Path

from contracts.record import Record, Verdict
from registry import signing
from registry.errors import Immutable, Tampered, UnknownVersion, UsageError
from registry.journal import Journal
from registry.keys import Keys
from registry.manifest import NOT_A_FILE, Difference, compare, manifest_of
from registry.names import check_key, check_version
from registry.records import Records
from registry.serving import AREAS, Area, Serving
from registry.staging import LAST_FILE
from registry.store import Store


class Artifacts:
    def __init__(self, store: Store, model: str, records: Records, serving: Serving, journal: Journal) -> None:
        self._store = store
        self._model = model
        self._records = records
        self._serving = serving
        self._journal = journal

    def publish(self, version: int, folder: Path, keys: Keys | None) -> Record:
        """Takes the SavedModel in `folder` as testing/<version>; the record gets its digests and becomes a candidate.

        One that awaits its run's checks becomes a candidate later, by `admit`. A call that was killed may be repeated
        with the same files.

        Raises:
            Immutable: the version holds another model already.
            UsageError: `folder` is not a SavedModel.
            Tampered: links or special files in the folder, or files changed while they were copied.
        """
        version = check_version(version)
        record = self._records.read(version)
        files = _files_of(folder)
        key = f"testing/{version}"
        taken = f"Version {version} of '{self._model}' exists and is never overwritten; take a new version."
        there = self._store.manifest(key)
        if record.state != "training" or any(files.get(name) != digest for name, digest in there.items()):
            raise Immutable(taken)
        signature = signing.sign(keys, self._model, version, files) if keys else {}
        # First what the folder will hold, then the folder, then the word that it is complete.
        self._records.change(version, lambda record: {"files": files, "sigstore": signature})
        if not self._store.has_folder(key):
            self._store.put_folder(key, folder, files)
        elif there != files and self._store.manifest(key) != files:  # it appeared since we looked, or lost a file
            raise Immutable(taken)
        if record.awaits:
            return self._records.read(version)
        if not (there and self._journal.tells_of("publish", version)):
            self._journal.append("publish", version, before="training", after="candidate", reason=record.reason)
        return self._records.change(version, lambda record: _candidate(record, files))

    def admit(self, version: int, checked: bool) -> Record:
        """Makes a version that awaited its run's checks a candidate; a call that was killed may be repeated.

        `checked` tells that they have passed, rather than been left out after all.

        Raises:
            UnknownVersion: its training has not ended, or it was rejected.
        """
        record = self._records.read(version)
        if record.state == "training" and record.files and self._store.has_folder(f"testing/{version}"):
            if not self._journal.tells_of("publish", version):
                self._journal.append("publish", version, before="training", after="candidate", reason=record.reason)
            return self._records.change(
                version,
                lambda now: {**_candidate(now, record.files), "awaits": "", "checked": now.checked and checked},
            )
        return self.published(version)

    def withdraw(self, version: int, verdict: Verdict) -> Record:
        """Rejects a version that is no candidate yet, with `verdict`, and removes what there is of its files.

        Raises:
            Immutable: it has become one meanwhile, and stays.
        """

        def rejected(record: Record) -> dict[str, object]:
            if record.state not in ("training", "rejected"):
                raise Immutable(f"Version {record.version} is '{record.state}', and no longer in training.")
            verdicts = [*record.verdicts, verdict] if record.state == "training" else record.verdicts
            return {"state": "rejected", "verdicts": verdicts, "files": {}, "sigstore": {}, "awaits": ""}

        record = self._records.change(version, rejected)
        self._store.remove_folder(f"testing/{version}")
        return record

    def sign(self, version: int, keys: Keys | None) -> Record:
        """Signs a version that was published without a signature, as it is now.

        Raises:
            Immutable: it is signed already.
            Tampered: its files are not those of its record.
            UsageError: there is no key.
        """
        record = self.published(version)
        if record.sigstore:
            raise Immutable(f"Version {version} is signed already; look at it with `promote verify {version}`.")
        if keys is None:
            raise UsageError("There is no key to sign with; name one with TRAINYARD_SIGNING_KEY.")
        for area in self.areas(version):
            self._check_digests(record, area)
        signature = signing.sign(keys, self._model, record.version, record.files)
        signed = self._records.change(version, lambda record: {"sigstore": signature})
        self._journal.append("sign", version, after=signing.shown(signing.signer_of(signed.sigstore)))
        return signed

    def fetch(self, version: int, destination: Path, keys: Keys | None) -> Path:
        """Copies a version's files to destination/<version>, or leaves what is there and right; all is checked.

        Raises:
            Tampered, Unsigned, WrongSignature: as `check`.
        """
        record = self.published(version)
        area: Area = "testing" if "testing" in self.areas(version) else "production"
        self._check(record, area, keys)
        target = destination / str(record.version)
        if target.is_dir() and manifest_of(target) == record.files:
            return target
        self._store.get_folder(f"{area}/{record.version}", target, record.files)
        return target

    def copy_to_production(self, version: int, keys: Keys | None) -> None:
        """Makes production/<version> from testing/<version> unless it is there; what is served then has been checked.

        Raises:
            Tampered, Unsigned, WrongSignature: as `check`.
        """
        record = self.published(version)
        self.check(version, keys)
        if "production" not in self.areas(version):
            self._store.copy_folder(f"testing/{record.version}", f"production/{record.version}", record.files)

    def check(self, version: int, keys: Keys | None) -> None:
        """Checks the files that production serves or, before the first promotion, those it would get.

        Raises:
            Tampered: they are not what the record says.
            Unsigned, WrongSignature: nobody that is trusted answers for them.
        """
        self._check(self.published(version), "production" if "production" in self.areas(version) else "testing", keys)

    def areas(self, version: int) -> list[Area]:
        """Where files of a version are, or have to be because a configuration names them."""
        version = check_version(version)
        return [
            area
            for area in AREAS
            if self._store.has_folder(f"{area}/{version}") or version in self._serving.read(area).versions
        ]

    def compare(self, version: int, area: Area) -> Difference:
        """How the files of a version differ from its record, sorted; links and special files count."""
        record = self.published(version)
        return compare(self._store.manifest(f"{area}/{record.version}"), record.files)

    def published(self, version: int) -> Record:
        """The record of a version that has files.

        Raises:
            UnknownVersion: it has none, and the sentence says why.
        """
        record = self._records.read(version)
        named = f"Version {version} of '{self._model}'"
        if record.removed:
            raise UnknownVersion(
                f"The files of v{named[1:]} were removed on {record.removed[:10]} to make room; only its record is "
                "left. `promote list` shows which are there."
            )
        if record.missed_gate():
            why = "; ".join(record.gate_reasons()) or "see its report"
            raise UnknownVersion(
                f"{named} did not pass its training gate, so no files were saved ({why}); train again."
            )
        if record.state == "training" and record.files and record.awaits:
            raise UnknownVersion(
                f"{named} awaits the checks of its commit (run {record.awaits}) and is no candidate before they pass; "
                "where nothing works on them any more, start that run again."
            )
        if not record.files or record.state == "training":
            raise UnknownVersion(f"{named} has no published files; its training has not ended.")
        return record

    def _check(self, record: Record, area: Area, keys: Keys | None) -> None:
        self._check_digests(record, area)
        if keys:
            signing.check(keys, record)

    def _check_digests(self, record: Record, area: Area) -> None:
        difference = self.compare(record.version, area)
        if difference:
            where = self._store.uri(f"{area}/{record.version}")
            raise Tampered(
                f"The files of version {record.version} in {where} are not those of its record ({difference}); "
                "put the original files back, or train again.",
                difference,
            )


def _files_of(folder: Path) -> dict[str, str]:
    """The manifest of a SavedModel's folder.

    Raises:
        UsageError: it is none.
        Tampered: it holds links or special files.
    """
    files = manifest_of(folder)
    if LAST_FILE not in files:
        raise UsageError(f"{folder} holds no {LAST_FILE}; publish a SavedModel's folder.")
    for name in files:
        check_key(name)
    if links := Difference(changed=tuple(name for name, digest in files.items() if digest == NOT_A_FILE)):
        raise Tampered(f"{folder} holds links or special files ({links}); a model is made of plain files.", links)
    return files


def _candidate(record: Record, files: Mapping[str, str]) -> dict[str, str]:
    if record.files != files:
        raise Immutable(f"Version {record.version} was published by another process meanwhile; take a new version.")
    return {"state": "candidate"}
