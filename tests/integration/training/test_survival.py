"""Runs that are interrupted for real are resumed, and come to the same weights."""

import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import Conflict, GateNotPassed
from registry import Registry
from registry.directory import DirectoryStore
from tests.integration.training.conftest import EPOCHS, MODEL
from tests.integration.training.yards import SMALL, write_model
from tests.warm import Program


def weights(place: Path) -> dict[str, bytes]:
    """What version 1 of a registry has learned. The file's own digest tells of its layers' names too, which count on
    from one network of a process to the next."""
    import tensorflow as tf

    read = tf.train.load_checkpoint(str(place / MODEL / "testing" / "1" / "variables" / "variables"))
    return {name: read.get_tensor(name).tobytes() for name in read.get_variable_to_shape_map() if name[0] != "_"}


def start(
    place: Path, sample: Path, end: str = "", awaits: str = "", before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """The very call of the fixture `trained`."""
    gates = ["--min-accuracy", "0.7", "--min-recall", "0.4", "--reason", "a test"]
    told = {**os.environ, "TRAINYARD_TEST_END": end, "TRAINYARD_AWAITS": awaits}
    program = Program(
        "tests.integration.training.small",
        *("--dataset", str(sample), "--registry", str(place), "--epochs", str(EPOCHS), *gates),
        environment=told,
        before=before,
    )
    return program.ended(600)


def fill_disk() -> None:
    """Every write past so many bytes fails, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def test_run_cut_off_anywhere_comes_to_the_same_weights(trained, place, sample, tmp_path):
    killed = start(tmp_path, sample, "SIGKILL:epoch:2", awaits="an earlier run")
    assert killed.returncode == -signal.SIGKILL
    registry = Registry.open(str(tmp_path), MODEL)
    assert (registry.record(1).state, registry.record(1).awaits) == ("training", "an earlier run")

    # Nine batches an epoch; one epoch is saved, so this is in the middle of another.
    terminated = start(tmp_path, sample, "SIGTERM:step:22")
    assert terminated.returncode == 6, terminated.stderr
    assert "Resuming version 1" in terminated.stderr
    assert "Terminated after epoch 3; version 1 can be resumed: run the same command again." in terminated.stderr
    assert "Traceback" not in terminated.stderr
    assert (registry.record(1).state, registry.record(1).awaits) == ("training", "")

    killed = start(tmp_path, sample, "SIGKILL:publish")
    assert killed.returncode == -signal.SIGKILL
    assert "Training: 1/" not in killed.stderr
    assert not list(tmp_path.rglob("testing/*"))

    done = start(tmp_path, sample, awaits="a run")
    assert done.returncode == 0, done.stderr
    assert "Training: 1" not in done.stderr, "what was finished was done again"
    assert "awaits the checks of run a run; until they pass it can be neither tested nor promoted" in done.stderr
    (record,) = registry.records()
    # Whole, and no candidate.
    assert (record.state, record.awaits, record.steps[-1].name) == ("training", "a run", "publish")
    record = registry.admit(1, checked=True)
    assert record.state == "candidate"
    learned = weights(tmp_path)
    assert len(learned) > 10 and learned == weights(place)
    assert [trial.history for trial in record.trials] == [trial.history for trial in trained[1].trials]
    assert len(record.verdicts) == 1
    assert not registry.verify(1)


def test_full_disk_ends_with_a_clear_sentence_and_may_be_tried_again(sample, tmp_path):
    done = start(tmp_path, sample, before=fill_disk)
    assert done.returncode == 6, done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert "version 1 can be resumed" in done.stderr
    assert "Traceback" not in done.stderr
    (record,) = Registry.open(str(tmp_path), MODEL).records()
    assert record.state == "training"
    assert not list(tmp_path.rglob("saved_model.pb"))


def test_loss_that_is_no_number_is_a_verdict(sample, tmp_path, monkeypatch):
    from training.train import train

    write_model(tmp_path, "chest_xray", SMALL + "learning_rate = 1e30\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GateNotPassed, match=r"the loss became .* in epoch 1; a lower learning rate"):
        train(dataset=str(sample), registry=str(tmp_path), epochs=2)
    (record,) = Registry.open(str(tmp_path), MODEL).records()
    assert record.state == "rejected"
    assert not list((tmp_path / MODEL / "runs" / "1").glob("*.*"))


def test_the_same_run_twice_at_once_is_a_conflict(tmp_path):
    from training.run.checkpoints import Checkpoints

    store = DirectoryStore(tmp_path)
    first = Checkpoints(store, tmp_path / "runs", 3, "key")
    with pytest.raises(Conflict, match="under way already, as version 3"):
        Checkpoints.resumed(store, tmp_path / "runs", [4, 3], "key")
    first.close()
    second = Checkpoints.resumed(store, tmp_path / "runs", [4, 3], "key")
    assert second is not None
    second.clear()
    second.close()
    assert Checkpoints.resumed(store, tmp_path / "runs", [4, 3], "key") is None
