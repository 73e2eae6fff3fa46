"""What the commands show: tables for people, dictionaries for --json."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from comparison.figures import Figures, figures
from contracts.record import Record
from promote.history import Period
from promote.intent import Intent
from promote.pods import Pod
from promote.rollover import Outcome
from registry import STABLE, Difference, Entry, ServingState, signing
from registry.manifest import printable
from registry.serving import Area

_KINDS = ("extra", "missing", "changed")
# Of a table that goes to a file or a pipe.
_PLAIN_WIDTH = 140


def console() -> Console:
    """For results: stdout."""
    out = Console(highlight=False, markup=False)
    return out if out.is_terminal else Console(highlight=False, markup=False, width=_PLAIN_WIDTH)


def versions_table(records: list[Record], serving: ServingState) -> Table:
    table = Table("version", "state", "accuracy", "dataset", "age", "served", box=None, header_style="bold")
    for record in reversed(records):
        test = record.metrics.test
        table.add_row(
            str(record.version),
            _state(record),
            f"{test.accuracy:.3f}" if test else "-",
            f"{record.dataset.fingerprint[:8]} ({record.dataset.images})" if record.dataset else "-",
            _age(record.created),
            ", ".join(_served_as(record.version, serving)),
            style="bold green" if record.version == serving.stable else None,
        )
    return table


def _state(record: Record) -> str:
    if record.removed:
        return f"{record.state}, files removed"
    return f"{record.state}, awaits checks" if record.state == "training" and record.awaits else record.state


def versions_json(records: list[Record], serving: ServingState) -> list[dict[str, object]]:
    return [
        {
            "version": record.version,
            "state": record.state,
            "kind": record.kind,
            "accuracy": record.metrics.test.accuracy if record.metrics.test else None,
            "dataset": record.dataset.fingerprint if record.dataset else None,
            "created": record.created,
            "removed": record.removed,
            "served": record.version in serving.versions,
            "labels": [label for label, version in serving.labels.items() if version == record.version],
        }
        for record in records
    ]


def comparison(candidate: Record, production: Record | None) -> Table:
    """The candidate beside production, accuracy and every class, and what else differs."""
    tests = [verdict for verdict in candidate.verdicts if verdict.kind == "test"]
    found = figures(candidate, production, tests[-1] if tests else None)
    table = Table(box=None, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column(f"version {candidate.version}")
    if production:
        table.add_column(f"version {production.version}")
        table.add_column("change")
        table.caption = "on the same images" if found.same_images else "each on its own held-out images"
        table.caption_justify = "left"
    for name, after, before in _compared(found):
        change = f"{after - before:+.3f}" if after is not None and before is not None else ""
        table.add_row(name, _figure(after), *([_figure(before), change] if production else []))
    for name, describe in (("images", _images), ("dataset", _dataset), ("commit", _commit)):
        table.add_row(name, describe(candidate), *([describe(production), ""] if production else []))
    return table


def outcome_json(outcome: Outcome) -> dict[str, object]:
    key = "promoted" if outcome.action == "promote" else "rolled_back_to"
    return {
        key: outcome.version,
        "previous": outcome.previous,
        "already": outcome.already,
        "pods": outcome.pods,
        "steps": [asdict(step) for step in outcome.steps],
        "mail": outcome.mail.where if outcome.mail else None,
    }


def status_json(
    serving: ServingState, pods: list[Pod], under_way: Intent | None, registry: str, model: str
) -> dict[str, object]:
    return {
        "model": model,
        "registry": registry,
        "versions": list(serving.versions),
        "labels": serving.labels,
        "pods": [
            {
                "address": pod.address,
                "model": pod.model,
                "stable": pod.labels.get(STABLE),
                "versions": {str(version): state for version, state in sorted(pod.versions.items())},
                "error": pod.error or None,
            }
            for pod in pods
        ],
        "promotion": {
            "action": under_way.action,
            "version": under_way.version,
            "who": under_way.who,
            "holder": str(under_way.holder),
            "started": under_way.started,
            "interrupted": under_way.is_abandoned(),
        }
        if under_way
        else None,
    }


def pods_table(pods: list[Pod]) -> Table:
    table = Table("pod", "stable", "versions", box=None, header_style="bold")
    for pod in pods:
        states = ", ".join(f"{version} {state}" for version, state in sorted(pod.versions.items()))
        table.add_row(pod.address, str(pod.labels.get(STABLE, "-")), pod.error or states or "none")
    return table


def verified_lines(
    version: int, differences: Mapping[Area, Difference], signer: str, unsigned: Exception | None
) -> list[str]:
    """One a file that differs, sorted, and the signature's verdict."""
    lines = [
        f"{kind:8} {area}/{version}/{printable(name)}"
        for area, difference in differences.items()
        for kind in _KINDS
        for name in getattr(difference, kind)
    ]
    if not lines:
        lines = [f"Version {version}: every file is the one recorded ({', '.join(differences)})."]
    return [*lines, f"Signature: {unsigned}" if unsigned else f"Signature: good, by the key {signing.shown(signer)}."]


def verified_json(
    version: int, differences: Mapping[Area, Difference], signer: str, unsigned: Exception | None
) -> dict[str, object]:
    areas = {
        area: {kind: list(getattr(difference, kind)) for kind in _KINDS} for area, difference in differences.items()
    }
    signature = {"ok": unsigned is None, "signer": signer or None, "error": str(unsigned) if unsigned else None}
    ok = unsigned is None and not any(differences.values())
    return {"version": version, "ok": ok, "areas": areas, "signature": signature}


def history_table(entries: list[Entry]) -> Table:
    table = Table("when", "who", "what", "version", "in production", "why", "from", box=None, header_style="bold")
    for entry in entries:
        where = f"{entry.caller} on {entry.host}" if entry.caller else entry.host
        table.add_row(entry.at, entry.who, entry.action, str(entry.version), _production(entry), _why(entry), where)
    return table


def _why(entry: Entry) -> str:
    return "; ".join(part for part in ("unchecked" if entry.unchecked else "", entry.reason) if part)


def _production(entry: Entry) -> str:
    """What an entry changed there; other entries tell of states."""
    if entry.action not in ("promote", "rollback", "undo"):
        return ""
    if entry.action == "undo" and entry.since is None:  # undone before the label moved
        return f"{entry.after or 'nothing'}, unchanged"
    return f"{entry.before or 'nothing'} → {entry.after or 'nothing'}"


def period_text(period: Period | None, then: datetime, model: str) -> str:
    time = then.isoformat().replace("+00:00", "Z")
    if period is None:
        return f"At {time} no version of '{model}' was in production."
    entry = period.entry
    verbs = {"promote": "promoted", "rollback": "gone back to"}
    verb = verbs.get(entry.action) or ("tried" if period.version == entry.version else "put back")
    caller = f" (called by {entry.caller})" if entry.caller else ""
    until = f"until {period.ended}" if period.ended else "and is still"
    why = f": {_why(entry)}" if _why(entry) else ""
    return (
        f"At {time} version {period.version} of '{model}' was in production, {until}; "
        f"{verb} at {period.began} by {entry.who}{caller} from {entry.host}{why}."
    )


def period_json(period: Period | None, then: datetime) -> dict[str, object]:
    time = then.isoformat().replace("+00:00", "Z")
    if period is None:
        return {"at": time, "version": None}
    entry = period.entry.model_dump(by_alias=True)
    chosen = {name: entry[name] for name in ("action", "who", "caller", "host", "reason")}
    return {"at": time, "version": period.version, "since": period.began, "until": period.ended, **chosen}


def _age(created: str) -> str:
    """How long ago, in the largest unit that fits."""
    try:
        then = datetime.fromisoformat(created)
    except ValueError:
        return "-"
    seconds = int((datetime.now(UTC) - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"


def _served_as(version: int, serving: ServingState) -> list[str]:
    labels = [label for label, labelled in sorted(serving.labels.items(), reverse=True) if labelled == version]
    return labels or (["loaded"] if version in serving.versions else [])


def _compared(found: Figures) -> list[tuple[str, float | None, float | None]]:
    new, old = found.metrics, found.baseline
    rows: list[tuple[str, float | None, float | None]] = [
        ("accuracy", new.accuracy if new else None, old.accuracy if old else None)
    ]
    for label in dict.fromkeys([*(new.per_class if new else ()), *(old.per_class if old else ())]):
        after = new.per_class.get(label) if new else None
        before = old.per_class.get(label) if old else None
        for name in ("recall", "precision"):
            values = (getattr(after, name) if after else None, getattr(before, name) if before else None)
            rows.append((f"{label}: {name}", *values))
    return rows


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _images(record: Record | None) -> str:
    return str(record.dataset.images) if record and record.dataset else "-"


def _dataset(record: Record | None) -> str:
    return record.dataset.fingerprint[:12] if record and record.dataset else "-"


def _commit(record: Record | None) -> str:
    if record is None or record.code.commit is None:
        return "-"
    return record.code.commit[:12] + (" (changed)" if record.code.dirty else "")
