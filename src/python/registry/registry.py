"""The versions of one model: records, files, reports, and what is served. The one face of what lies behind it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contracts import location
from contracts.location import InBucket
from contracts.record import Record, Verdict
from registry.artifacts import Artifacts
from registry.directory import DirectoryStore
from registry.errors import InfrastructureError, Missing, UsageError
from registry.journal import Journal
from registry.keys import Keys
from registry.manifest import Difference
from registry.names import check_key, check_model, check_version, is_version
from registry.records import Records
from registry.serving import AREAS, Area, Serving
from registry.serving_config import ServingState
from registry.store import Store


class Registry:
    """One model's versions in a store. Every method is safe against a kill, and against others at the same time."""

    def __init__(self, store: Store, model: str, keys: Keys | None = None) -> None:
        """With `keys`, what is published is signed, and files whose signature is wrong or missing are refused."""
        self.store = store
        self.model = check_model(model)
        self.keys = keys
        self.journal = Journal(store)
        self._records = Records(store, model)
        self._serving = Serving(store, model, self._records)
        self._artifacts = Artifacts(store, model, self._records, self._serving, self.journal)

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

    def require_writable(self) -> None:
        """Tries what a version's way through the registry needs, and leaves no trace. Called early in a long run.

        Raises:
            InfrastructureError: it can't be written, or is no place where two writers can't harm each other.
        """
        self.store.require_writable()

    # Records

    def create(self, kind: str, **fields: Any) -> Record:
        """Takes the next version number by writing its record, in state "training"."""
        # Folders count too: a number whose record was lost is not given to another model.
        folders = [key.split("/")[1] for area in AREAS for key in self.store.list(area)]
        least = max((int(name) for name in folders if is_version(name)), default=0) + 1
        return self._records.create(kind, least, fields)

    def record(self, version: int) -> Record:
        """
        Raises:
            UnknownVersion: there is no such record.
            Corrupt: its JSON can't be parsed.
        """
        return self._records.read(version)

    def records(self) -> list[Record]:
        """All records by ascending version."""
        return self._records.all()

    def update(self, version: int, **changes: Any) -> Record:
        """Changes fields of a record; the values may be models or plain dictionaries."""
        return self.change(version, lambda record: changes)

    def add_verdict(self, version: int, verdict: Verdict | Mapping[str, Any], **changes: Any) -> Record:
        """Adds a verdict to those of a record, and changes other fields with it."""
        added = Verdict.model_validate(verdict)
        return self.change(version, lambda record: {**changes, "verdicts": [*record.verdicts, added]})

    def change(self, version: int, decide: Callable[[Record], Mapping[str, Any]]) -> Record:
        """Changes a record by what `decide` makes of its newest form; see `Records.change`."""
        return self._records.change(version, decide)

    # Files of models; see `Artifacts` for what each does and raises.

    def publish(self, version: int, folder: Path) -> Record:
        return self._artifacts.publish(version, folder, self.keys)

    def admit(self, version: int, checked: bool) -> Record:
        return self._artifacts.admit(version, checked)

    def withdraw(self, version: int, verdict: Verdict) -> Record:
        return self._artifacts.withdraw(version, verdict)

    def sign(self, version: int) -> Record:
        return self._artifacts.sign(version, self.keys)

    def fetch(self, version: int, destination: Path) -> Path:
        return self._artifacts.fetch(version, destination, self.keys)

    def copy_to_production(self, version: int) -> None:
        self._artifacts.copy_to_production(version, self.keys)

    def check_files(self, version: int) -> None:
        self._artifacts.check(version, self.keys)

    def areas(self, version: int) -> list[Area]:
        return self._artifacts.areas(version)

    def verify(self, version: int, area: Area = "testing") -> Difference:
        return self._artifacts.compare(version, area)

    # Reports

    def save_report(self, version: int, name: str, data: bytes) -> str:
        """Saves a report of a version and returns where; one of the same name is replaced."""
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
        """What servers load; see `Serving.read`."""
        return self._serving.read(area)

    def write_serving(self, state: ServingState, area: Area = "production") -> ServingState:
        """Tells servers to load `state`; see `Serving.write`."""
        return self._serving.write(state, area)

    def models_config(self, area: Area = "production") -> str:
        """Path or URI of the configuration, for a model server's --model_config_file."""
        return self._serving.where(area)
