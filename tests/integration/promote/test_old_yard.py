"""A registry and a trainyard.toml of the version before a model was a folder go on working."""

import json
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from promote.__main__ import app
from registry import Keys, Registry
from testkit import yards


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = yards.old_yard(tmp_path)
    monkeypatch.chdir(made)
    return made


def opened(yard: Path) -> Registry:
    registry = str(yard / "registry")
    return Registry.open(registry, yards.MODEL, Keys.of("", [], registry))


def answer(*arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    if result.exception:
        raise result.exception
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_versions_and_their_history_are_read(yard: Path) -> None:
    versions = answer("list")["versions"]
    assert [(row["version"], row["state"], row["kind"]) for row in versions] == [
        (1, "production", "train"),
        (2, "tested", "retrain"),
    ]
    assert [entry["action"] for entry in answer("history")["entries"]] == ["publish", "promote", "publish"]
    assert answer("verify", "2")["ok"] is True
    assert CliRunner().invoke(app, ["status"]).stdout.count("/srv/yard/registry/shapes/production") == 1


def test_the_tested_version_is_promoted_and_taken_back(yard: Path) -> None:
    done = answer("run", "--version", "2", "--approver", "grace")
    assert (done["promoted"], done["previous"]) == (2, 1)
    mail = message_from_bytes(Path(done["mail"]).read_bytes())
    assert (mail["To"], mail["Subject"]) == (yards.OWNER, "shapes 2 promoted")
    registry = opened(yard)
    assert registry.serving().base_path == str(yard / "registry" / "shapes" / "production")
    assert registry.serving().labels == {"stable": 2, "previous": 1}
    assert answer("rollback")["rolled_back_to"] == 1
    assert [record.state for record in registry.records()] == ["production", "retired"]
    assert [entry.unchecked for entry in registry.journal.entries()] == [None] * 5


@pytest.mark.parametrize("flag", ["--model", "--model-name"])
def test_its_name_is_known_by_either_flag(yard: Path, flag: str) -> None:
    assert len(answer("list", flag, yards.MODEL)["versions"]) == 2


def test_promotion_that_was_interrupted_is_finished(yard: Path) -> None:
    yards.interrupt(yard)
    assert answer("status")["promotion"]["interrupted"] is True
    assert answer("run", "--version", "2")["already"] is True
    registry = opened(yard)
    assert registry.serving().labels == {"stable": 2, "previous": 1}
    assert [record.state for record in registry.records()] == ["retired", "production"]
    last = registry.journal.entries()[-1]
    assert (last.action, last.version, last.who, last.reason) == ("promote", 2, "grace", "interrupted")
