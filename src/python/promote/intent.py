"""production/promotion.json: there is at most one, so there is at most one promotion at a time.

It is made before anything changes and removed when everything is done. It says what is being promoted and what was
served before; whoever finds one whose holder is gone can finish or undo the promotion.
"""

import time
import uuid
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cli.errors import Conflict, DataRefused
from cli.text import one_line
from promote.holder import Holder
from registry import Registry, ServingState, utc_now
from registry.errors import Missing, Refused
from registry.journal import user

KEY = "production/promotion.json"
# Where earlier versions made it: beside the folders, where an account with rights in folders may not even look.
EARLIER_KEY = "promotion.json"
# How long a holder that nobody can see from here is believed to be alive after its last sign of life.
LEASE_SECONDS = 300.0
_RENEW_SECONDS = 30.0
_LONGEST_REASON = 1000

Action = Literal["promote", "rollback"]


class Served(BaseModel):
    versions: tuple[int, ...]
    labels: dict[str, int]

    @classmethod
    def of(cls, state: ServingState) -> "Served":
        return cls(versions=state.versions, labels=state.labels)


class Intent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    action: Action
    version: int
    who: str
    reason: str
    started: str
    holder: Holder
    # Seconds since 1970.
    expires: float
    # What the configuration said before. None: nothing has been changed yet.
    before: Served | None = None
    # When the label was about to move.
    switched: str | None = None
    # Set before the earlier configuration is put back, so that nobody finishes what failed.
    undo: bool = False
    # Whether there was something to put back, as the one who undoes it first saw it.
    touched: bool = False

    def is_abandoned(self) -> bool:
        alive = self.holder.is_alive()
        return time.time() > self.expires if alive is None else not alive

    def __str__(self) -> str:
        what = "promotion of" if self.action == "promote" else "rollback to"
        return f"the {what} version {self.version} by {self.who} ({self.holder}, since {self.started})"


class Held:
    """A promotion in this process's hands; `change` fails once somebody else took it."""

    def __init__(self, registry: Registry, intent: Intent, generation: int, key: str = KEY) -> None:
        self._registry = registry
        self._generation = generation
        self._key = key
        self._renewed = time.monotonic()
        self.intent = intent

    def change(self, **changes: object) -> None:
        """Writes changes to the intent, and a later end of the lease.

        Raises:
            Conflict: another process took the promotion over.
        """
        intent = self.intent.model_copy(update={**changes, "expires": time.time() + LEASE_SECONDS})
        try:
            self._generation = self._registry.store.write(self._key, _to_json(intent), if_generation=self._generation)
        except Conflict:
            raise Lost(self.intent) from None
        self.intent = intent
        self._renewed = time.monotonic()

    def keep(self) -> None:
        """A sign of life, now and then."""
        if time.monotonic() - self._renewed > _RENEW_SECONDS:
            self.change()

    def release(self) -> None:
        try:
            self._registry.store.delete(self._key, if_generation=self._generation)
        except Conflict:
            raise Lost(self.intent) from None


class Lost(Conflict):
    """The promotion is somebody else's now: nothing may be put back any more."""

    def __init__(self, intent: Intent) -> None:
        super().__init__(f"Another process took over {intent}; look at it with `promote status`.")


def current(registry: Registry) -> tuple[Intent, int] | None:
    """The promotion under way or left behind, if any, and the generation of its object."""
    found = _find(registry)
    return found and found[:2]


def _read(registry: Registry, key: str) -> tuple[bytes, int] | None:
    try:
        return registry.store.read(key)
    except Missing:
        return None
    except Refused:
        if key == EARLIER_KEY:  # whose rights are for the one object are refused where there is none
            return None
        raise


def _find(registry: Registry) -> tuple[Intent, int, str] | None:
    key = KEY
    read = _read(registry, key)
    if read is None:
        key = EARLIER_KEY
        read = _read(registry, key)
    if read is None:
        return None
    try:
        return Intent.model_validate_json(read[0]), read[1], key
    except ValidationError as error:
        raise DataRefused(
            f"{registry.store.uri(key)} can't be understood ({error.errors()[0]['msg']}); "
            "make sure that nobody is promoting, then delete it."
        ) from None


def take(registry: Registry, action: Action, version: int, who: str, reason: str) -> Held:
    """Begins a promotion.

    Raises:
        Conflict: another one is under way, or was left behind.
    """
    intent = Intent(
        id=uuid.uuid4().hex,
        action=action,
        version=version,
        # Typed in any terminal: what is no text could not be written, and what steers a terminal would be shown.
        who=one_line(who) or user(),
        reason=one_line(reason, _LONGEST_REASON),
        started=utc_now(),
        holder=Holder.this_process(),
        expires=time.time() + LEASE_SECONDS,
    )
    if other := current(registry):
        raise Conflict(_busy(other[0]))
    try:
        generation = registry.store.write(KEY, _to_json(intent), if_generation=0)
    except Conflict:
        other = current(registry)
        raise Conflict(_busy(other[0]) if other else "Another promotion has just ended; try again.") from None
    return Held(registry, intent, generation)


def take_over(registry: Registry) -> Held | None:
    """The promotion that an ended process left behind, if there is one.

    Raises:
        Conflict: a promotion is under way, or somebody else took this one over.
    """
    found = _find(registry)
    if found is None:
        return None
    intent, generation, key = found
    if not intent.is_abandoned():
        raise Conflict(_busy(intent))
    held = Held(registry, intent, generation, key)
    held.change(holder=Holder.this_process())
    return held


def _busy(intent: Intent) -> str:
    text = str(intent)
    return f"{text[0].upper()}{text[1:]} is under way; wait until it has ended, or end it, then try again."


def _to_json(intent: Intent) -> bytes:
    return intent.model_dump_json(indent=1).encode() + b"\n"
