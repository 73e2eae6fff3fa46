"""Which versions' files may go, and their going. Records, reports and the journal stay: they are small, and history.

A version is marked in its record first, then the configuration of servers is read once more, and only then its
files go. A promotion does it the other way round (Registry.write_serving), so one of the two always notices the other.
A call that was killed is finished by the next one, as the mark says what was to go.
"""

from dataclasses import dataclass

from contracts.record import Record
from registry.clock import utc_now
from registry.errors import Conflict, Immutable, Missing, Refused
from registry.manifest import compare
from registry.names import is_version
from registry.registry import Registry
from registry.serving import AREAS

_WAITING = ("candidate", "tested")
# promote keeps it from before its first change until after its last; earlier versions kept it beside the folders.
_PROMOTION, _EARLIER_PROMOTION = "production/promotion.json", "promotion.json"


@dataclass(frozen=True)
class Plan:
    # Version -> why its files stay; ascending.
    keep: dict[int, str]
    # Ascending; those whose removal was begun already are among them.
    remove: list[Record]
    # Marked as removed and loaded all the same: a call was killed before it took its mark back.
    mend: list[Record]


def plan(registry: Registry, newest: int) -> Plan:
    """What may go when, of the versions that wait for a test or for promotion, only the `newest` are wanted.

    Raises:
        Conflict: a promotion is under way, or was left behind.
    """
    if _is_there(registry, _PROMOTION) or _is_there(registry, _EARLIER_PROMOTION):
        raise Conflict(
            f"A promotion of '{registry.model}' is under way or was left behind; wait until it has ended, "
            "or call `promote run` or `rollback` to settle it."
        )
    records = registry.records()
    there = {int(key.split("/")[1]) for area in AREAS for key in registry.store.list(area) if _is_version(key)}
    waiting = [record.version for record in records if record.state in _WAITING and not record.removed]
    keep, remove, mend = {}, [], []
    for record in records:
        if record.version not in there:
            continue
        named = _named(registry, record.version)
        if named and record.removed:
            mend.append(record)
        if why := named or _wanted(record, waiting[max(0, len(waiting) - newest) :]):
            keep[record.version] = why
        else:
            remove.append(record)
    return Plan(keep, remove, mend)


def remove(registry: Registry, record: Record, reason: str) -> bool:
    """Removes a version's files for good; False if its record has changed since the plan was made."""
    version = record.version

    def mark(now: Record) -> dict[str, str]:
        if (now.state, now.removed) != (record.state, record.removed):
            raise Immutable(f"The record of version {version} was changed by somebody else.")
        return {"removed": now.removed or utc_now()}

    try:
        registry.change(version, mark)
    except Immutable:
        return False
    if _named(registry, version):
        registry.update(version, removed=None)
        return False
    if not (record.removed and registry.journal.tells_of("gc", version)):
        registry.journal.append("gc", version, before=record.state, reason=reason)
    for area in AREAS:
        registry.store.remove_folder(f"{area}/{version}")
    return True


def mend(registry: Registry, record: Record) -> None:
    """Takes back the mark of a version that servers load, whose files are all there; or nobody could go back to it."""
    if not compare(registry.store.manifest(f"production/{record.version}"), record.files):
        registry.update(record.version, removed=None)


def _is_there(registry: Registry, key: str) -> bool:
    try:
        registry.store.read(key)
    except Missing:
        return False
    except Refused:
        if key == _EARLIER_PROMOTION:  # whose rights are for folders alone are refused where there is none
            return False
        raise
    return True


def _named(registry: Registry, version: int) -> str:
    """How a configuration of servers names the version, or nothing."""
    for area in reversed(AREAS):
        serving = registry.serving(area)
        if version in serving.versions:
            labels = sorted(label for label, labelled in serving.labels.items() if labelled == version)
            return f"{' and '.join(labels) or 'loaded'} in {area}"
    return ""


def _wanted(record: Record, waiting: list[int]) -> str:
    if record.removed:
        return ""
    if record.state == "training":
        return "in training"
    if record.state == "production":
        return "in production"
    return "among the newest" if record.version in waiting else ""


def _is_version(key: str) -> bool:
    return key.endswith("/") and is_version(key.split("/")[1])
