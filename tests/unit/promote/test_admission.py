"""What is checked of a model once more before servers are told to load it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.errors import DataRefused
from promote import admission
from promote.__main__ import app
from registry import Registry, Unsigned, WrongSignature, manifest_of
from testkit import graphs
from testkit.registries import IMAGE_SIZE, LABELS, MODEL, keys_in, model_folder, open_registry, promotable, published
from tests.unit.promote.helpers import promote, roll_back, states, two_promoted_one_tested


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Version 2 in production, 1 before it, 3 tested."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINYARD_REGISTRY_URI", str(tmp_path / "registry"))
    monkeypatch.setenv("TRAINYARD_MAIL_OUTBOX", str(tmp_path / "outbox"))
    return two_promoted_one_tested(tmp_path)


def refused(kind: type[Exception], *arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def forge(registry: Registry, version: int, **fields: Any) -> None:
    """Writes into a record what no command would."""
    record = json.loads(registry.store.read(f"records/{version}.json")[0])
    registry.store.write(f"records/{version}.json", json.dumps(record | fields).encode())


def passed_off(registry: Registry, built: Path, **fields: Any) -> int:
    """A version of the files in `built` that claims to have passed its tests."""
    version = registry.create("train", **({"labels": LABELS, "image_size": IMAGE_SIZE} | fields)).version
    registry.publish(version, built)
    return registry.update(version, state="tested").version


@pytest.mark.parametrize("command", [["run", "--yes", "--version"], ["run", "--dry-run", "--version"]])
def test_signed_model_that_reads_files_is_not_promoted(registry: Registry, tmp_path: Path, command: list[str]) -> None:
    """Whoever may sign may be wrong, or worse; and a record that says "tested" is just a file."""
    meta = graphs.meta_graph(len(LABELS), IMAGE_SIZE)
    meta.graph_def.library.function[0].node_def.append(graphs.node("r", "ReadFile", "x"))
    version = passed_off(registry, graphs.write(tmp_path / "evil", meta))
    assert "ReadFile" in refused(DataRefused, *command, str(version))
    assert (registry.serving().stable, registry.areas(version)) == (2, ["testing"])


@pytest.mark.parametrize(("oblong", "fits"), [("pad", True), ("crop", False)])
def test_a_model_is_held_against_the_input_that_its_record_tells(
    registry: Registry, tmp_path: Path, oblong: str, fits: bool
) -> None:
    meta = graphs.meta_graph(len(LABELS), IMAGE_SIZE, channels=3)
    graphs.tells(meta, "oblong=pad", "white=65535")
    told = {"size": IMAGE_SIZE, "channels": 3, "oblong": oblong}
    version = passed_off(registry, graphs.write(tmp_path / "colour", meta), input=told)
    if fits:
        admission.check(registry, registry.record(version))
    else:
        with pytest.raises(DataRefused, match="says oblong=pad, white=65535, expected oblong=crop"):
            admission.check(registry, registry.record(version))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("model.keras", "Keras file"),
        ("weights.h5", "Keras file"),
        ("assets.extra/labels.pkl", "pickle"),
        ("assets.extra/more.tar.gz", "archive"),
        ("saved_model.pbtxt", "second form of the graph"),
    ],
)
def test_model_with_a_file_that_runs_or_hides_code_is_not_promoted(
    registry: Registry, tmp_path: Path, name: str, what: str
) -> None:
    built = model_folder(tmp_path / "evil")
    (built / name).write_bytes(b"x")
    said = refused(DataRefused, "run", "--yes", "--version", str(passed_off(registry, built)))
    assert name in said and what in said


def test_version_without_a_signature_is_neither_promoted_nor_gone_back_to(registry: Registry, tmp_path: Path) -> None:
    promotable(Registry(registry.store, MODEL), tmp_path)
    assert "promote -- sign 4" in refused(Unsigned, "run", "--version", "4")
    assert states(registry)[4] == "tested"
    forge(registry, 1, sigstore={})
    assert "promote -- sign 1" in refused(Unsigned, "rollback")
    assert CliRunner().invoke(app, ["sign", "1"]).exit_code == 0
    assert CliRunner().invoke(app, ["rollback"]).exit_code == 0
    assert registry.serving().stable == 1


def test_model_and_record_changed_together_are_not_promoted(registry: Registry) -> None:
    folder = Path(registry.store.uri("testing/3"))
    (folder / "variables" / "variables.index").write_bytes(b"evil")
    forge(registry, 3, files=manifest_of(folder))
    assert "variables/variables.index" in refused(WrongSignature, "run", "--version", "3")
    assert registry.areas(3) == ["testing"]
    said = CliRunner().invoke(app, ["verify", "3"])
    assert "every file is the one recorded" in said.stdout and "Signature: The record of version 3" in said.stdout
    assert isinstance(said.exception, WrongSignature)


def test_model_that_changes_while_servers_load_it_gets_no_label(registry: Registry, tmp_path: Path) -> None:
    """The last look is right before the switch."""
    from tests.unit.promote.helpers import rollover

    def say(line: str) -> None:
        if line.startswith("load"):
            Path(registry.store.uri("production/3/saved_model.pb")).write_bytes(b"evil")

    with pytest.raises(DataRefused, match=r"saved_model\.pb.*version 2 is served as before"):
        rollover(registry, tmp_path / "outbox", say=say).run("promote", 3, "ada", "")
    assert registry.serving().stable == 2


def test_key_of_another_workspace_is_named_as_the_reason(registry: Registry, tmp_path: Path) -> None:
    keys_in(tmp_path / "elsewhere").require()
    other = ["--public-key", str(keys_in(tmp_path / "elsewhere").public)]
    assert "is signed by the key" in refused(WrongSignature, "run", "--version", "3", *other)
    assert "is signed by the key" in refused(WrongSignature, "verify", "3", *other)
    assert CliRunner().invoke(app, ["verify", "3", "--public-key", str(keys_in(tmp_path).public)]).exit_code == 0


def test_going_back_does_not_ask_the_list_of_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was served before may be served again, also when the list has become stricter since."""
    registry = two_promoted_one_tested(tmp_path)
    monkeypatch.setattr("inspection.problems", lambda *_: ["too much"])
    with pytest.raises(DataRefused, match="Version 3 must not be loaded: too much"):
        promote(registry, 3)
    assert roll_back(registry, 1).version == 1


def test_untested_version_is_refused_by_its_state_first(registry: Registry, tmp_path: Path) -> None:
    published(Registry(registry.store, MODEL), tmp_path)
    result = CliRunner().invoke(app, ["run", "--version", "4"])
    assert "has not been tested" in str(result.exception)
    assert open_registry(tmp_path).serving().stable == 2
