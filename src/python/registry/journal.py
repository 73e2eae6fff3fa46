"""Who did what to which version, when and why; entries are added, never changed."""

import getpass
import socket
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry.clock import utc_now
from registry.errors import Conflict, Corrupt
from registry.names import check_version, is_version
from registry.parallel import read_all
from registry.store import Store

_DIGITS = 8


class Entry(BaseModel):
    # What a newer Trainyard notes besides is passed over: entries are never written again, so nothing is lost.
    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    # UTC, ISO 8601.
    at: str
    # When the configuration named the version: before `at`, and long before it where the process was killed between.
    since: str | None = None
    # Who decided.
    who: str
    action: str
    version: int
    # What was before and what is now: versions in production, or states.
    before: Annotated[int | str | None, Field(alias="from")] = None
    after: Annotated[int | str | None, Field(alias="to")] = None
    reason: str = ""
    # Where it was done, and by whom where that is not who decided.
    host: str
    caller: str | None = None
    # The promotion an entry belongs to, so that finishing one twice tells of it once.
    promotion: str | None = None
    # True where the version was made by a run that left out the checks, and was promoted all the same.
    unchecked: bool | None = None


class Journal:
    def __init__(self, store: Store) -> None:
        self._store = store

    def append(
        self,
        action: str,
        version: int,
        *,
        before: int | str | None = None,
        after: int | str | None = None,
        reason: str = "",
        who: str | None = None,
        promotion: str | None = None,
        since: str | None = None,
        unchecked: bool | None = None,
    ) -> Entry:
        """Adds an entry under the next free number."""
        caller = user()
        entry = Entry(
            at=utc_now(),
            since=since,
            who=who or caller,
            caller=caller if who and who != caller else None,
            action=action,
            version=check_version(version),
            before=before,
            after=after,
            reason=reason,
            host=socket.gethostname(),
            promotion=promotion,
            unchecked=unchecked,
        )
        data = entry.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"
        number = max(self._numbers(), default=0) + 1
        while True:
            try:
                self._store.write(self._key(number), data, if_generation=0)
                return entry
            except Conflict:
                number += 1

    def entries(self) -> list[Entry]:
        """All entries in the order they were added.

        Raises:
            Corrupt: an entry can't be parsed.
        """
        return read_all(lambda number: self._read(self._key(number)), sorted(self._numbers()))

    def tells_of(self, action: str, version: int) -> bool:
        """Whether there is an entry about it; for those that happen once in a version's life."""
        return any((entry.action, entry.version) == (action, version) for entry in self.entries())

    def tells_of_promotion(self, promotion: str) -> bool:
        """Whether there is an entry of it; one that can't be parsed must not keep anybody from going back."""
        text = promotion.encode()
        return any(read_all(lambda number: text in self._store.read(self._key(number))[0], self._numbers()))

    def _read(self, key: str) -> Entry:
        try:
            return Entry.model_validate_json(self._store.read(key)[0])
        except ValidationError as error:
            raise Corrupt(
                f"{self._store.uri(key)} is not a journal entry ({error.errors()[0]['msg']}); "
                "restore it from a copy of the registry."
            ) from None

    def _numbers(self) -> list[int]:
        names = [key.split("/")[-1].removesuffix(".json") for key in self._store.list("journal")]
        return [int(name) for name in names if len(name) >= _DIGITS and is_version(name.lstrip("0"))]

    @staticmethod
    def _key(number: int) -> str:
        return f"journal/{number:0{_DIGITS}}.json"


def user() -> str:
    """Who runs this process, as well as can be told."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
