"""What a run that missed the gate advises, and what the first one that passed it tells."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cli import GateNotPassed
from contracts.record import Record
from settings import Settings
from training.commands.options import Options
from training.commands.outcome import finish

OPTIONS = cast(
    Options,
    SimpleNamespace(
        model=SimpleNamespace(settings=Settings()),
        dataset="sample",
        registry=Settings().registry.uri,
        min_accuracy=Settings().gates.min_accuracy,
        min_recall=Settings().gates.min_recall,
    ),
)


def rejected(ended: str) -> Record:
    trials = [
        {"number": 1, "parameters": {}, "ended": "time" if ended == "epochs" else "epochs", "seconds": 1.0},
        {"number": 2, "parameters": {}, "ended": ended, "seconds": 1.0, "chosen": True},
    ]
    verdict = {"kind": "gate", "passed": False, "reasons": ["accuracy 0.5 is below 0.8"], "at": "2026-01-01T00:00:00Z"}
    return Record.model_validate(
        {
            "version": 1,
            "model": "chest-xray",
            "state": "rejected",
            "kind": "train",
            "created": "2026-01-01T00:00:00Z",
            "trials": trials,
            "verdicts": [verdict],
        }
    )


def test_more_time_is_advised_first_where_the_chosen_trial_ran_out_of_it() -> None:
    with pytest.raises(GateNotPassed, match=r"is below 0\.8\. It ran out of time.*--max-minutes.*--max-trials"):
        finish(rejected("time"), False, OPTIONS)


@pytest.mark.parametrize("ended", ["epochs", "patience"])
def test_more_time_is_not_advised_where_it_would_not_help(ended: str) -> None:
    with pytest.raises(GateNotPassed, match=r"is below 0\.8\. Train on more images or with --max-trials") as missed:
        finish(rejected(ended), False, OPTIONS)
    assert "--max-minutes" not in str(missed.value)


@pytest.mark.parametrize(
    ("chosen", "flags"),
    [
        ({}, ""),
        ({"dataset": "my xrays"}, " --dataset 'my xrays'"),
        ({"registry": "gs://bucket/models"}, " --registry gs://bucket/models"),
        ({"min_accuracy": 0.7, "min_recall": 0.125}, " --min-accuracy 0.7 --min-recall 0.125"),
    ],
    ids=["as the settings say", "another dataset", "another registry", "a lower gate"],
)
def test_next_command_names_what_the_settings_do_not(
    chosen: dict[str, str | float], flags: str, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate = rejected("epochs").model_copy(update={"state": "candidate"})
    finish(candidate, False, cast(Options, SimpleNamespace(**{**vars(OPTIONS), **chosen})))
    said = capsys.readouterr().err
    assert said.endswith(f"src/python/testing:test_model -- --model chest-xray --version 1{flags}\n")


@pytest.mark.parametrize(("version", "told"), [(1, True), (2, False)])
def test_the_first_candidate_tells_that_the_registry_goes_with_the_clone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], version: int, told: bool
) -> None:
    record = rejected("epochs").model_copy(update={"state": "candidate", "version": version})
    (tmp_path / ".git").mkdir()
    place = {"registry": str(tmp_path / ".trainyard/registry")}
    finish(record, False, cast(Options, SimpleNamespace(**{**vars(OPTIONS), **place})))
    told_now = capsys.readouterr().err
    assert (f"The registry is {tmp_path}/.trainyard/registry, inside this clone: `git clean -fdx`" in told_now) == told
    assert ("[registry] uri in trainyard.toml, or --registry." in told_now) == told
