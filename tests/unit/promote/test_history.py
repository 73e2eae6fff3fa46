"""Who promoted what, when, why and from where; what was in production at a time."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.errors import UsageError
from promote import history
from promote.__main__ import app
from registry import Entry
from tests.unit.promote.helpers import two_promoted_one_tested


def entry(at: str, version: int, action: str = "promote", before: int | None = None) -> Entry:
    return Entry(at=at, who="ada", action=action, version=version, before=before, after=version, host="here")


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
    found = [(period.version, period.entry.at[:10], (period.ended or "")[:10]) for period in history.periods(STORY)]
    assert found == [(1, "2026-01-02", "2026-01-03"), (2, "2026-01-03", "2026-01-04"), (1, "2026-01-04", "")]
    assert history.periods([]) == []


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
