"""Several processes that TF_CONFIG names train one network together."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from contracts.record import Record
from registry import Registry
from tests.integration.training.conftest import MODEL
from tests.integration.training.yards import SMALL, write_model
from tests.warm import Program

EPOCHS = 3
# With enough weights for two processes to differ in.
LARGER = SMALL.replace("size = 32", "size = 64").replace("width = 8", "width = 16").replace("stages = 1", "stages = 2")


@pytest.fixture(autouse=True)
def in_larger_yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path, "chest_xray", LARGER)
    monkeypatch.chdir(tmp_path)


def ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


def start(place: Path, sample: Path, workers: int, end: dict[int, str] | None = None) -> list[Program]:
    addresses = [f"127.0.0.1:{port}" for port in ports(workers)]
    programs = []
    for index in range(workers):
        told = {**os.environ, "TRAINYARD_TEST_END": (end or {}).get(index, "")}
        if workers > 1:
            task = {"type": "worker", "index": index}
            told["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        arguments = ["--dataset", str(sample), "--registry", str(place), "--epochs", str(EPOCHS)]
        arguments += ["--min-accuracy", "0", "--min-recall", "0"]
        programs.append(Program("tests.integration.training.small", *arguments, environment=told))
    return programs


def ended(programs: list[Program]) -> list[tuple[int, str]]:
    try:
        return [(done.returncode, done.stderr) for program in programs for done in [program.ended(600)]]
    finally:
        for program in programs:
            program.kill()


def curve(record: Record) -> list[float]:
    return [value for epoch in record.trials[0].history for value in (epoch.loss, epoch.validation_loss)]


@pytest.mark.timeout(600)
def test_two_processes_come_to_the_metrics_of_one_and_outlive_a_kill(sample, tmp_path):
    alone = ended(start(tmp_path / "alone", sample, 1))
    assert alone[0][0] == 0, alone[0][1]
    expected = Registry.open(str(tmp_path / "alone"), MODEL).record(1)

    (chief, said), (killed, _) = ended(start(tmp_path / "two", sample, 2, {1: "SIGKILL:epoch:2"}))
    assert killed == -signal.SIGKILL
    assert chief == 6, said
    assert "Another process of the training went away" in said
    assert "Traceback" not in said

    (chief, said), (other, also) = ended(start(tmp_path / "two", sample, 2))
    assert (chief, other) == (0, 0), said + also
    assert "Resuming version 1" in said
    (record,) = Registry.open(str(tmp_path / "two"), MODEL).records()
    assert record.state == "candidate"
    assert curve(record) == pytest.approx(curve(expected), rel=2e-3)
    assert record.metrics.test.confusion == expected.metrics.test.confusion


def test_environment_that_names_no_cluster_is_refused(sample, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "no JSON")
    done = ended(start(tmp_path, sample, 1))
    assert done[0][0] == 2, done[0][1]
    assert "TF_CONFIG" in done[0][1] and "Traceback" not in done[0][1]
