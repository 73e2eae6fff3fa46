"""The command promote, without pods: results, questions, exit codes."""

import json
import os
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.errors import DataRefused, GateNotPassed, TrainyardError, UsageError
from promote import readable
from promote.__main__ import app
from registry import Registry
from testkit.registries import MODEL, keys_in, open_registry, promotable, published
from tests.unit.promote.helpers import promote as promote_version
from tests.unit.promote.helpers import states, two_promoted_one_tested


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINYARD_REGISTRY_URI", str(tmp_path / "registry"))
    monkeypatch.setenv("TRAINYARD_MAIL_OUTBOX", str(tmp_path / "outbox"))
    return two_promoted_one_tested(tmp_path)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))  # type: ignore[return-value]


def answer(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    if result.exception:
        raise result.exception
    return json.loads(result.stdout.strip().splitlines()[-1])


def refused(kind: type[TrainyardError], *arguments: str) -> str:
    result = call(*arguments)
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def test_list_shows_versions_states_and_what_is_served(registry: Registry) -> None:
    versions = answer("list")["versions"]
    assert [(row["version"], row["state"], row["labels"]) for row in versions] == [
        (1, "retired", ["previous"]),
        (2, "production", ["stable"]),
        (3, "tested", []),
    ]
    assert versions[2]["accuracy"] == 0.85
    table = call("list").stdout.splitlines()
    assert table[0].split() == ["version", "state", "accuracy", "dataset", "age", "served"]
    assert table[2].split()[:3] == ["2", "production", "0.850"] and "stable" in table[2]


def test_run_promotes_the_named_version(registry: Registry) -> None:
    result = answer("run", "--version", "3", "--approver", "ada", "--reason", "better")
    assert (result["promoted"], result["previous"], result["already"]) == (3, 2, False)
    assert [step["name"] for step in result["steps"]] == ["check", "copy", "load", "switch", "record"]
    assert Path(result["mail"]).is_file()
    assert registry.serving().stable == 3
    assert registry.journal.entries()[-1].who == "ada"


def test_without_pods_the_command_that_serves_is_named(registry: Registry, tmp_path: Path) -> None:
    result = call("run", "--version", "3", "--registry", str(tmp_path / "registry"))
    assert f"Next, serve it: ./pants run serving/pod -- --registry {tmp_path / 'registry'}\n" in result.stderr


def test_run_without_a_version_takes_the_newest_tested_with_yes(registry: Registry) -> None:
    assert answer("run", "--yes")["promoted"] == 3


def test_run_without_a_version_needs_an_answer(registry: Registry) -> None:
    assert "--yes" in refused(UsageError, "run")
    assert states(registry)[3] == "tested"


def test_run_shows_the_candidate_beside_production(registry: Registry) -> None:
    result = call("run", "--yes")
    shown = result.stderr
    assert "version 3" in shown and "version 2" in shown
    assert "Viral Pneumonia: recall" in shown and "Viral Pneumonia: precision" in shown
    assert "each on its own held-out images" in shown


@pytest.mark.parametrize(("typed", "stable"), [("y\n", 3), ("n\n", 2), ("\n", 2)])
def test_question_at_a_terminal_is_obeyed(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, typed: str, stable: int
) -> None:
    monkeypatch.setattr("promote.commands.changing.has_terminal", lambda: True)
    result = CliRunner().invoke(app, ["run"], input=typed)
    assert result.exit_code == 0
    assert registry.serving().stable == stable


def test_dry_run_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "registry").rglob("*")}
    result = answer("run", "--dry-run")
    assert (result["promoted"], result["candidate"], result["previous"]) == (None, 3, 2)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "registry").rglob("*")} == before


def test_dry_run_finds_a_changed_file(registry: Registry) -> None:
    Path(registry.store.uri("testing/3/saved_model.pb")).write_bytes(b"evil")
    assert "saved_model.pb" in refused(DataRefused, "run", "--dry-run")


def test_version_in_production_is_fine_as_it_is(registry: Registry) -> None:
    assert answer("run", "--version", "2")["already"] is True
    assert "already" in call("run", "--version", "2").stdout


def test_untested_version_is_refused_with_the_way_out(registry: Registry, tmp_path: Path) -> None:
    published(registry, tmp_path)
    said = refused(GateNotPassed, "run", "--version", "4")
    assert "test_model -- --version 4" in said and "--dataset sample`" in said


def test_changed_candidate_is_refused_by_file(registry: Registry) -> None:
    Path(registry.store.uri("testing/3/variables/variables.index")).write_bytes(b"evil")
    assert "variables/variables.index" in refused(DataRefused, "run", "--version", "3")
    assert registry.areas(3) == ["testing"]


def test_rollback_goes_back_and_says_so(registry: Registry) -> None:
    result = answer("rollback", "--reason", "wrong answers")
    assert (result["rolled_back_to"], result["previous"]) == (1, 2)
    assert registry.serving().stable == 1
    assert answer("rollback", "--to", "2")["rolled_back_to"] == 2


def test_verify_prints_a_sorted_difference(registry: Registry) -> None:
    assert "every file" in call("verify", "2").stdout
    assert "Signature: good" in call("verify", "2").stdout
    folder = Path(registry.store.uri("production/2"))
    (folder / "extra").write_bytes(b"")
    (folder / "saved_model.pb").unlink()
    (folder / "variables" / "variables.index").write_bytes(b"changed")
    result = call("verify", "2")
    *lines, signature = result.stdout.splitlines()
    assert "good" in signature  # of the record: what differs are the files
    assert [line.split() for line in lines] == [
        ["extra", "production/2/extra"],
        ["missing", "production/2/saved_model.pb"],
        ["changed", "production/2/variables/variables.index"],
    ]
    assert isinstance(result.exception, DataRefused)
    as_json = json.loads(call("verify", "2", "--json").stdout)
    assert as_json["ok"] is False and as_json["areas"]["testing"] == {"extra": [], "missing": [], "changed": []}


def test_status_without_pods_says_what_is_configured(registry: Registry) -> None:
    status = answer("status")
    assert (status["labels"], status["pods"], status["promotion"]) == ({"stable": 2, "previous": 1}, [], None)
    assert "stable = 2" in call("status").stdout


def test_the_first_promotion_tells_that_the_registry_goes_with_the_clone(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TRAINYARD_MAIL_OUTBOX", str(tmp_path / "outbox"))
    (tmp_path / "clone/.git").mkdir(parents=True)
    for name, told in (("clone", True), ("elsewhere", False)):
        folder = tmp_path / name
        monkeypatch.setenv("TRAINYARD_REGISTRY_URI", str(folder / "registry"))
        registry = open_registry(folder)
        promotable(registry, folder)
        first = call("run", "--version", "1")
        assert first.exit_code == 0, first.output
        assert ("inside this clone: `git clean -fdx` deletes it" in first.output) == told
        promotable(registry, folder)
        assert "inside this clone" not in call("run", "--version", "2").output


def test_status_shows_an_interrupted_promotion(registry: Registry) -> None:
    from promote import intent

    child = os.fork()
    if child == 0:
        intent.take(registry, "promote", 3, "bob", "")
        os._exit(0)
    os.waitpid(child, 0)
    assert answer("status")["promotion"]["interrupted"] is True
    assert "bob" in call("status").stdout
    result = call("run", "--version", "3")
    assert "Undoing the promotion of version 3 by bob" in result.stderr
    assert answer("status")["promotion"] is None


def test_history_tells_who_did_what(registry: Registry) -> None:
    answer("run", "--version", "3", "--approver", "ada", "--reason", "better on COVID")
    last = answer("history")["entries"][-1]
    assert (last["who"], last["action"], last["from"], last["to"]) == ("ada", "promote", 2, 3)
    assert "better on COVID" in call("history").stdout


def test_empty_registry_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = ["--registry", str(tmp_path / "none")]
    assert answer("list", *here) == {"versions": []}
    assert answer("status", *here)["labels"] == {}
    assert answer("history", *here) == {"entries": []}
    refused(GateNotPassed, "run", "--yes", *here)
    refused(UsageError, "rollback", *here)
    refused(UsageError, "verify", "1", *here)
    assert not (tmp_path / "none").exists()


def test_names_are_shown_as_they_are(registry: Registry, tmp_path: Path) -> None:
    """A reason in square brackets is no markup."""
    promote_version(registry, 3)
    registry.journal.append("promote", 3, reason="[bold]really[/bold] [/]", who="ada")
    assert "[bold]really[/bold] [/]" in call("history").stdout


@pytest.mark.parametrize("pod", ["localhost", ":9090", "host:", "host:0", "host:99999", "host:x"])
def test_pod_addresses_are_checked(registry: Registry, pod: str) -> None:
    assert "HOST:PORT" in refused(UsageError, "run", "--version", "3", "--pod", pod)
    assert registry.serving().stable == 2


@pytest.mark.parametrize("version", ["0", "-1", "03", "3.0", "../3", "+3", "３"])
def test_versions_are_checked(registry: Registry, version: str) -> None:
    assert call("run", "--version", version, "--yes").exit_code == 2
    assert registry.serving().stable == 2


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "promote", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env=_environment(),
    )


def test_exit_codes_are_those_of_the_table(registry: Registry) -> None:
    fine = _process("run", "--version", "3", "--json")
    assert fine.returncode == 0, fine.stderr
    assert (fine.returncode, json.loads(fine.stdout.splitlines()[-1])["promoted"]) == (0, 3)
    failed = _process("verify", "9")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: Version 9 of 'chest-xray' is not in the registry")
    assert "Traceback" not in failed.stderr


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from promote.__main__ import app; "
        "result = CliRunner().invoke(app, ['--help']); assert 'rollback' in result.output; "
        "heavy = {'registry', 'grpc', 'pydantic', 'jinja2'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=_environment())


def test_model_name_is_an_option(registry: Registry, tmp_path: Path) -> None:
    other = Registry.open(str(tmp_path / "registry"), "other", keys_in(tmp_path))
    promotable(other, tmp_path / "other")
    promotable(other, tmp_path / "other")
    assert answer("run", "--version", "1", "--model-name", "other")["promoted"] == 1
    assert (open_registry(tmp_path).serving().stable, MODEL) == (2, "chest-xray")
    mail = message_from_bytes(Path(answer("run", "--version", "2", "--model-name", "other")["mail"]).read_bytes())
    text = mail.get_payload()[0].get_payload(decode=True).decode()  # type: ignore[union-attr,index]
    assert "promote -- rollback --model other --registry" in text


def test_text_of_any_terminal_is_taken_and_steers_none(registry: Registry) -> None:
    answer("run", "--version", "3", "--approver", "a\nda", "--reason", "f\udcfcr \x1b[2Jalle")
    last = registry.journal.entries()[-1]
    assert (last.who, last.reason) == ("a da", "f?r [2Jalle")


def test_pod_without_an_address_does_not_hide_the_others(registry: Registry) -> None:
    shown = answer("status", "--pod", "nowhere.invalid:9090", "--pod", "127.0.0.1:9")
    assert shown["labels"] == {"stable": 2, "previous": 1}
    assert [pod["address"] for pod in shown["pods"]] == ["nowhere.invalid:9090", "127.0.0.1:9"]
    assert "can't be found" in shown["pods"][0]["error"] and "No adapter answers" in shown["pods"][1]["error"]


def test_nothing_is_said_of_the_future(registry: Registry) -> None:
    assert "has not come yet" in refused(UsageError, "history", "--at", "2999-01-01")


def test_unchecked_version_is_taken_only_when_that_is_said_and_the_journal_tells(registry: Registry) -> None:
    registry.update(3, checked=False)
    said = refused(UsageError, "run", "--version", "3")
    assert "left out the checks" in said and "run --version 3 --unchecked" in said
    refused(UsageError, "run", "--yes")
    refused(UsageError, "run", "--dry-run")
    assert registry.serving().stable == 2
    assert answer("run", "--version", "3", "--unchecked")["promoted"] == 3
    assert registry.journal.entries()[-1].unchecked is True
    assert "unchecked" in call("history").stdout
    # Nobody has to say it again to go back to it.
    assert answer("rollback")["rolled_back_to"] == 2
    assert answer("rollback", "--to", "3")["rolled_back_to"] == 3


def test_unknown_model_lists_those_there_are(registry: Registry) -> None:
    said = refused(UsageError, "list", "--model", "digitz")
    assert "no model 'digitz'" in said and "chest-xray" in said


def test_model_whose_folder_is_gone_is_known_by_its_versions(registry: Registry, tmp_path: Path) -> None:
    promotable(Registry.open(str(tmp_path / "registry"), "other", keys_in(tmp_path)), tmp_path / "other")
    assert [row["version"] for row in answer("list", "--model", "other")["versions"]] == [1]


def test_registry_that_was_moved_is_told_and_mended(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "registry").rename(tmp_path / "moved")
    (tmp_path / "registry.keys").rename(tmp_path / "moved.keys")
    here = ["--registry", str(tmp_path / "moved")]
    shown = call("status", *here).stdout
    assert f"sends servers to {tmp_path}/registry/{MODEL}/production" in shown
    assert f"promote -- run --version 2 --registry {tmp_path}/moved" in shown
    result = call("run", "--version", "2", *here)
    assert result.exit_code == 0 and f"sent to {tmp_path}/moved/{MODEL}/production now" in result.stderr
    there = Registry.open(str(tmp_path / "moved"), MODEL)
    assert there.serving().base_path == str(tmp_path / "moved" / MODEL / "production")
    assert (there.serving().versions, there.serving().stable) == ((1, 2), 2)
    assert "sends servers to" not in call("status", *here).stdout


def test_registry_seen_through_a_link_was_not_moved(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "registry")
    assert "sends servers to" not in call("status", "--registry", str(tmp_path / "link")).stdout


def test_what_servers_of_another_user_cannot_read_is_named(registry: Registry, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:  # pytest's own
            folder.chmod(folder.stat().st_mode | 0o001)
    assert readable.hint(registry, 2) == ""
    (tmp_path / "registry" / MODEL / "production" / "2" / "saved_model.pb").chmod(0o600)
    hint = readable.hint(registry, 2)
    assert "production/2/saved_model.pb has mode 0600" in hint and f"chmod -R o+rX {tmp_path}/registry`" in hint


def test_version_that_awaits_its_checks_is_listed_so_and_not_promoted(registry: Registry, tmp_path: Path) -> None:
    version = published(registry, tmp_path / "awaiting", awaits="a-run").version
    assert "training, awaits checks" in call("list").stdout
    assert "awaits the checks of its commit (run a-run)" in refused(GateNotPassed, "run", "--version", str(version))
    assert registry.serving().stable == 2


def test_of_what_a_model_replaces_promotion_tells_the_owner_alone_and_only_where_it_mails(
    registry: Registry, tmp_path: Path
) -> None:
    (folder := tmp_path / "models" / MODEL.replace("-", "_")).mkdir(parents=True)
    (folder / "model.toml").write_text('task = "one label"\nfamily = "residual"\n')
    (tmp_path / "trainyard.toml").write_text('[gates]\nmin_accuracy = 0.8\n[mail]\nowner = "all@x"\n')
    (folder / "limits.toml").write_text('[gates]\nmin_accuracy = 0.9\n[mail]\nowner = "us@x"\n')
    assert "toml" not in call("list").output
    (told,) = [line for line in call("run", "--version", "3", "--dry-run").output.splitlines() if "toml" in line]
    assert "owner = 'us@x'" in told
