"""Which versions' files go, which stay, and who may come between."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from typer.testing import CliRunner

from cli.errors import Conflict, GateNotPassed, UsageError
from promote import intent
from promote.choice import newest_tested
from promote.views import versions_json
from registry import Registry, ServingState, UnknownVersion, gc, inventory
from registry.__main__ import app
from registry.directory import DirectoryStore
from testkit.registries import MODEL, model_folder, promotable, published
from testkit.storage import Place, promote, roll_back
from trainyard.wire.tensorflow_serving_pb2 import ModelServerConfig  # pants: no-infer-dep


@pytest.fixture
def registry(place: Place, tmp_path: Path) -> Registry:
    """1 retired, 2 previous, 3 in production, 4 rejected by its tests, 5 and 6 tested, 7 a candidate, 8 in training."""
    registry = place.make("one")
    for version in range(1, 7):
        promotable(registry, tmp_path / "models")
        if version < 4:
            promote(registry, version)
    registry.update(4, state="rejected")
    published(registry, tmp_path / "models")
    registry.create("train")
    return registry


def call(place: Place, *arguments: str) -> Any:
    result = CliRunner().invoke(
        app, ["gc", "--registry", place.uri("one"), "--model-name", MODEL, *arguments, "--json"]
    )
    if result.exception:
        raise result.exception
    return json.loads(result.stdout.strip().splitlines()[-1])


def there(registry: Registry) -> list[int]:
    return [record.version for record in registry.records() if registry.areas(record.version)]


def test_what_is_served_and_the_newest_candidates_stay(place: Place, registry: Registry) -> None:
    result = call(place, "--keep", "2", "--yes")
    assert (result["remove"], result["removed"]) == ([1, 4, 5], [1, 4, 5])
    assert {kept["version"]: kept["why"] for kept in result["keep"]} == {
        2: "previous in production",
        3: "stable in production",
        6: "among the newest",
        7: "among the newest",
    }
    assert there(registry) == [2, 3, 6, 7]
    assert [registry.verify(version) for version in (2, 3, 6, 7)] == [registry.verify(2)] * 4 and not registry.verify(2)
    assert registry.serving().labels == {"stable": 3, "previous": 2}
    assert [entry.version for entry in registry.journal.entries() if entry.action == "gc"] == [1, 4, 5]
    assert call(place, "--keep", "2", "--yes")["removed"] == []


def test_record_stays_and_says_what_became_of_the_files(place: Place, registry: Registry, tmp_path: Path) -> None:
    call(place, "--keep", "2", "--yes")
    record = registry.record(1)
    assert record.state == "retired" and record.removed and record.files
    for use in (registry.check_files, registry.verify, registry.copy_to_production):
        with pytest.raises(UnknownVersion, match="were removed on"):
            use(1)
    with pytest.raises(UnknownVersion, match="were removed on"):
        roll_back(registry, 1)
    assert registry.serving().labels == {"stable": 3, "previous": 2}
    assert registry.create("train").version == 9
    rows = versions_json(registry.records(), registry.serving())
    states = {row["version"]: (row["state"], row["removed"]) for row in rows}
    assert states[1] == ("retired", record.removed) and states[2] == ("retired", None)
    call(place, "--keep", "0", "--yes")
    with pytest.raises(GateNotPassed, match="has passed its tests"):
        newest_tested(registry)


def test_dry_run_changes_nothing(place: Place, registry: Registry) -> None:
    result = call(place, "--keep", "0", "--dry-run")
    assert (result["remove"], result["removed"], result["dry_run"]) == ([1, 4, 5, 6, 7], [], True)
    assert there(registry) == [1, 2, 3, 4, 5, 6, 7]
    assert not any(record.removed for record in registry.records())


def test_it_asks_first_and_without_a_terminal_removes_nothing(place: Place, registry: Registry) -> None:
    with pytest.raises(UsageError, match="--yes"):
        call(place)
    assert there(registry) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("area", ["production", "testing"])
def test_what_a_configuration_made_by_hand_names_stays(place: Place, registry: Registry, area: Any) -> None:
    config = ModelServerConfig()
    if area == "production":
        text_format.Parse(registry.store.read("production/models.config")[0].decode(), config)
    else:
        config.model_config_list.config.add(name=MODEL, base_path="/x", model_platform="tensorflow")
    config.model_config_list.config[0].model_version_policy.specific.versions.append(4)
    registry.store.write(f"{area}/models.config", text_format.MessageToString(config).encode())
    result = call(place, "--keep", "0", "--yes")
    assert {"version": 4, "why": f"loaded in {area}"} in result["keep"] and 4 not in result["removed"]
    assert not registry.verify(4)


def test_mark_that_a_killed_call_left_on_what_is_loaded_is_taken_back(place: Place, registry: Registry) -> None:
    registry.update(
        2, removed="2026-01-01T00:00:00Z"
    )  # then it looks at the configuration, which names 2, and is killed
    with pytest.raises(UnknownVersion, match="were removed"):
        roll_back(registry, 2)
    call(place, "--keep", "5", "--dry-run")
    assert registry.record(2).removed
    call(place, "--keep", "5", "--yes")
    roll_back(registry, 2)
    assert registry.serving().stable == 2


def test_nothing_goes_while_a_promotion_is_under_way(place: Place, registry: Registry) -> None:
    held = intent.take(registry, "promote", 6, "ada", "")
    with pytest.raises(Conflict, match="under way"):
        call(place, "--keep", "0", "--yes")
    held.release()
    assert there(registry) == [1, 2, 3, 4, 5, 6, 7]


def test_version_served_since_the_plan_was_made_stays(registry: Registry) -> None:
    plan = gc.plan(registry, 0)
    five = next(record for record in plan.remove if record.version == 5)
    registry.copy_to_production(5)
    serving = registry.serving()
    registry.write_serving(ServingState((2, 3, 5), serving.labels, serving.generation))
    assert gc.remove(registry, five, "") is False
    assert registry.record(5).removed is None
    assert not registry.verify(5) and not registry.verify(5, "production")


def test_version_tested_since_the_plan_was_made_stays(registry: Registry) -> None:
    plan = gc.plan(registry, 0)
    registry.update(7, state="tested")
    assert gc.remove(registry, plan.remove[-1], "") is False
    assert not registry.verify(7)


def test_promotion_that_meets_a_removal_is_undone(registry: Registry) -> None:
    """The mark is set after the promotion has checked the version, and before servers are told to load it."""

    def mark(line: str) -> None:
        if line.startswith("copy"):
            registry.update(6, removed="2026-01-01T00:00:00Z")

    with pytest.raises(Conflict, match="being removed"):
        promote(registry, 6, say=mark)
    assert (registry.serving().versions, registry.serving().labels) == ((2, 3), {"stable": 3, "previous": 2})
    assert intent.current(registry) is None


def test_model_that_the_registry_does_not_know_lists_those_it_does(place: Place, registry: Registry) -> None:
    result = CliRunner().invoke(app, ["gc", "--registry", place.uri("one"), "--model", "digitz", "--dry-run"])
    assert isinstance(result.exception, UsageError)
    assert f"no version of a model 'digitz'; it holds {MODEL}." in str(result.exception)
    assert inventory.choose(place.uri("one"), None, "another") == MODEL


def test_leftovers_are_swept(place: Place, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = registry.store
    if isinstance(store, DirectoryStore):
        model_folder(store.root / ".staging" / "left")
    else:
        store._objects.upload(model_folder(tmp_path / "x") / "saved_model.pb", f"{store._root}.staging/left/x")  # type: ignore[attr-defined]
        store.sweep()
        assert _staged(registry) == 1, "it may still be in use"
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    assert _staged(registry) == 1
    call(place, "--yes")
    assert _staged(registry) == 0


def _staged(registry: Registry) -> int:
    store = registry.store
    if isinstance(store, DirectoryStore):
        return len(os.listdir(store.root / ".staging"))
    return len(store._objects.listed(f"{store._root}.staging/"))  # type: ignore[attr-defined]
