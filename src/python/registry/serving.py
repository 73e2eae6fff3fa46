"""What servers of one model load: its models.config, one an area."""

from typing import Literal

from registry import serving_config
from registry.errors import Conflict, Missing, UnknownVersion
from registry.records import Records
from registry.serving_config import ServingState
from registry.store import Store

Area = Literal["testing", "production"]
AREAS: tuple[Area, ...] = ("testing", "production")


class Serving:
    def __init__(self, store: Store, model: str, records: Records) -> None:
        self._store = store
        self._model = model
        self._records = records

    def read(self, area: Area) -> ServingState:
        """Nothing before the first promotion.

        Raises:
            Corrupt: models.config can't be parsed.
        """
        data, generation = self._read(area)
        return serving_config.parse(data, self._model, self.where(area), generation)

    def write(self, state: ServingState, area: Area) -> ServingState:
        """Tells servers to load `state`; returns it with its new generation.

        Raises:
            Conflict: models.config changed since `state.generation` was read.
        """
        where = self.where(area)
        data, generation = self._read(area)
        if generation != state.generation:
            raise Conflict(f"{where} was changed by somebody else meanwhile; look at it and try again.")
        folder = self._store.served_folder(area)
        text = serving_config.render(state, self._model, folder, data, where)
        written = self._store.write(_key(area), text, if_generation=generation)
        # Asked only now: whoever removes files marks the record first, and then looks at what is served. So one of
        # the two always notices the other.
        earlier = serving_config.parse(data, self._model, where, generation)
        for version in set(state.versions) - set(earlier.versions):
            if self._is_removed(version):
                raise Conflict(f"The files of version {version} are being removed by somebody else.")
        return ServingState(state.versions, dict(state.labels), written, folder)

    def where(self, area: Area) -> str:
        """Path or URI of the configuration, for a model server's --model_config_file."""
        return self._store.uri(_key(area))

    def _is_removed(self, version: int) -> bool:
        try:
            return self._records.read(version).removed is not None
        except UnknownVersion:  # a configuration made by hand may name what has no record
            return False

    def _read(self, area: Area) -> tuple[bytes, int]:
        try:
            return self._store.read(_key(area))
        except Missing:
            return b"", 0


def _key(area: Area) -> str:
    return f"{area}/models.config"
