"""What the commands show: tables for people, dictionaries for --json."""

from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from promote.intent import Intent
from promote.pods import Pod
from promote.rollover import Outcome
from registry import STABLE, Entry, Metrics, Record, ServingState

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
            record.state,
            f"{test.accuracy:.3f}" if test else "-",
            f"{record.dataset.fingerprint[:8]} ({record.dataset.images})" if record.dataset else "-",
            age(record.created),
            ", ".join(_served_as(record.version, serving)),
            style="bold green" if record.version == serving.stable else None,
        )
    return table


def versions_json(records: list[Record], serving: ServingState) -> list[dict[str, Any]]:
    return [
        {
            "version": record.version,
            "state": record.state,
            "kind": record.kind,
            "accuracy": record.metrics.test.accuracy if record.metrics.test else None,
            "dataset": record.dataset.fingerprint if record.dataset else None,
            "created": record.created,
            "served": record.version in serving.versions,
            "labels": [label for label, version in serving.labels.items() if version == record.version],
        }
        for record in records
    ]


def comparison(candidate: Record, production: Record | None) -> Table:
    """The candidate beside production; on the same images when they were measured so."""
    new, old = candidate.metrics.test, None
    if production:
        old = candidate.metrics.baseline or production.metrics.test
    table = Table("", f"version {candidate.version}", box=None, header_style="bold")
    if production:
        table.add_column(f"version {production.version}")
        table.add_column("change")
    for name, after, before in _figures(new, old):
        change = f"{after - before:+.3f}" if after is not None and before is not None else ""
        table.add_row(name, _figure(after), *([_figure(before), change] if production else []))
    for name, after_text, before_text in (
        ("dataset", _dataset(candidate), _dataset(production)),
        ("commit", _commit(candidate), _commit(production)),
    ):
        table.add_row(name, after_text, *([before_text, ""] if production else []))
    return table


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    key = "promoted" if outcome.action == "promote" else "rolled_back_to"
    return {
        key: outcome.version,
        "previous": outcome.previous,
        "already": outcome.already,
        "pods": outcome.pods,
        "steps": outcome.steps,
        "mail": outcome.mail.where if outcome.mail else None,
    }


def status_json(
    serving: ServingState, pods: list[Pod], under_way: Intent | None, registry: str, model: str
) -> dict[str, Any]:
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


def history_table(entries: list[Entry]) -> Table:
    table = Table("when", "who", "what", "version", "from", "to", "why", "host", box=None, header_style="bold")
    for entry in entries:
        before, after = ("" if value is None else str(value) for value in (entry.before, entry.after))
        table.add_row(entry.at, entry.who, entry.action, str(entry.version), before, after, entry.reason, entry.host)
    return table


def age(created: str) -> str:
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


def _figures(new: Metrics | None, old: Metrics | None) -> list[tuple[str, float | None, float | None]]:
    labels = list(dict.fromkeys([*(new.per_class if new else ()), *(old.per_class if old else ())]))
    rows: list[tuple[str, float | None, float | None]] = [
        ("accuracy", new.accuracy if new else None, old.accuracy if old else None)
    ]
    for label in labels:
        after = new.per_class[label].recall if new and label in new.per_class else None
        before = old.per_class[label].recall if old and label in old.per_class else None
        rows.append((f"recall {label}", after, before))
    return rows


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _dataset(record: Record | None) -> str:
    if record is None or record.dataset is None:
        return "-"
    return f"{record.dataset.images} images, {record.dataset.fingerprint[:12]}"


def _commit(record: Record | None) -> str:
    if record is None or record.code.commit is None:
        return "-"
    return record.code.commit[:12] + (" (changed)" if record.code.dirty else "")
