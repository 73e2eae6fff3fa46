"""Who promoted what, when, why and from where; what was in production at a time."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli.errors import InfrastructureError, UsageError
from promote import history, intent, views
from promote.__main__ import app
from promote.holder import Holder
from registry import Entry
from testkit.registries import open_registry, promotable
from tests.unit.promote.helpers import promote, rollover, two_promoted_one_tested


def entry(at: str, version: int, action: str = "promote", before: int | None = None, **fields: Any) -> Entry:
    return Entry(
        at=at, who="ada", action=action, version=version, before=before, host="here", **{"after": version} | fields
    )


STORY = [
    entry("2026-01-01T00:00:00Z", 1, "publish"),
    entry("2026-01-02T12:00:00Z", 1),
    entry("2026-01-03T12:00:00Z", 2, before=1),
    entry("2026-01-03T13:00:00Z", 3, "undo"),
    entry("2026-01-04T12:00:00Z", 1, "rollback", before=2),
]


@pytest.mark.parametrize(
    ("time", "version"),
    [
        ("2026-01-02", None),
        ("2026-01-02T11:59:59Z", None),
        ("2026-01-02T12:00:00Z", 1),
        ("2026-01-03T12:30+01:00", 1),
        ("2026-01-03T12:00Z", 2),
        ("2026-01-03T14:00", 2),
        ("2026-01-04T12:00:00Z", 1),
        ("2030-01-01", 1),
    ],
)
def test_version_in_production_at_a_time(time: str, version: int | None) -> None:
    found = history.at(STORY, history.parse_time(time))
    assert (found.version if found else None) == version


def test_periods_follow_each_other() -> None:
    found = [(period.version, period.began[:10], (period.ended or "")[:10]) for period in history.periods(STORY)]
    assert found == [(1, "2026-01-02", "2026-01-03"), (2, "2026-01-03", "2026-01-04"), (1, "2026-01-04", "")]
    assert history.periods([]) == []


@pytest.mark.parametrize(
    ("time", "version"),
    [("10:59", 1), ("11:00", 2), ("13:59", 2), ("14:00", 3), ("14:30", 3), ("15:00", 2)],
)
def test_version_served_before_the_journal_told_of_it_was_in_production(time: str, version: int) -> None:
    story = [
        entry("2026-01-01T10:00:00Z", 1),
        entry("2026-01-01T13:00:00Z", 2, since="2026-01-01T11:00:00Z"),
        # Not confirmed by the pods, and put back an hour later.
        entry("2026-01-01T15:00:00Z", 3, "undo", before=3, after=2, since="2026-01-01T14:00:00Z"),
    ]
    found = history.at(story, history.parse_time(f"2026-01-01T{time}"))
    assert found is not None and found.version == version


def test_first_promotion_that_was_undone_leaves_nothing_in_production() -> None:
    story = [entry("2026-01-01T15:00:00Z", 1, "undo", before=1, after=None, since="2026-01-01T14:00:00Z")]
    assert history.at(story, history.parse_time("2026-01-01T16:00")) is None


@pytest.mark.parametrize("production", [None, 1])
def test_promotion_undone_before_the_switch_leaves_production_unchanged(tmp_path: Path, production: int | None) -> None:
    registry = open_registry(tmp_path)
    for _ in range(2):
        promotable(registry, tmp_path)
    if production:
        promote(registry, production)

    def say(line: str) -> None:
        if line.startswith("load"):
            raise InfrastructureError("no pod got ready")

    with pytest.raises(InfrastructureError):
        rollover(registry, tmp_path / "outbox", say=say).run("promote", 2, "ada", "")
    *_, last = entries = registry.journal.entries()
    assert (last.action, last.before, last.after, last.since) == ("undo", production, production, None)
    # As versions before this one wrote it.
    for undone in (last, last.model_copy(update={"before": 2})):
        shown = Console(width=200, record=True, file=StringIO())
        shown.print(views.history_table([undone]))
        text = shown.export_text()
        assert f"{production or 'nothing'}, unchanged" in text and "→" not in text
        found = history.at([*entries[:-1], undone], datetime.now(UTC))
        assert (found.version if found else None) == production


def test_promotion_killed_after_the_switch_counts_from_the_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = two_promoted_one_tested(tmp_path)

    def say(line: str) -> None:
        if line.startswith("switch"):
            raise MemoryError

    one = rollover(registry, tmp_path / "outbox", say=say)
    monkeypatch.setattr(one, "_give_up", lambda held, error: None)  # nor does a killed process
    monkeypatch.setattr("promote.rollover.utc_now", lambda: "2026-01-01T12:00:00Z")
    with pytest.raises(MemoryError):
        one.run("promote", 3, "ada", "")
    found = intent.current(registry)
    assert found is not None
    registry.store.write(
        intent.KEY,
        found[0].model_copy(update={"holder": Holder(host="x", pid=1), "expires": 0.0}).model_dump_json().encode(),
    )
    rollover(registry, tmp_path / "outbox").settle()
    last = history.periods(registry.journal.entries())[-1]
    assert (last.version, last.began, last.ended) == (3, "2026-01-01T12:00:00Z", None)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "12:00"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        history.parse_time(text)


def test_command_tells_who_why_and_from_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINYARD_MAIL_OUTBOX", str(tmp_path / "outbox"))
    registry = two_promoted_one_tested(tmp_path)
    here = ["--registry", str(tmp_path / "registry")]
    CliRunner().invoke(app, ["run", "--version", "3", "--approver", "grace", "--reason", "better", *here])
    last = registry.journal.entries()[-1]
    now = datetime.now(UTC).isoformat()
    said = CliRunner().invoke(app, ["history", "--at", now, *here]).stdout
    assert "version 3" in said and "by grace" in said and f"from {last.host}: better" in said
    assert f"(called by {last.caller})" in said
    as_json = json.loads(CliRunner().invoke(app, ["history", "--at", now, "--json", *here]).stdout)
    assert (as_json["version"], as_json["who"], as_json["until"]) == (3, "grace", None)
    before = json.loads(CliRunner().invoke(app, ["history", "--at", "2020-01-01", "--json", *here]).stdout)
    assert before["version"] is None
    table = CliRunner().invoke(app, ["history", *here]).stdout
    assert "2 → 3" in table and "nothing → 1" in table and "grace" in table
    assert "candidate" not in table  # states are told by `list`
