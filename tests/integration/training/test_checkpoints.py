"""Checkpoints of a run are the same in a folder and in a bucket."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contracts.record import Metrics, Trial
from registry.bucket import BucketStore
from registry.directory import DirectoryStore
from registry.store import Store
from testkit import buckets
from training.run.checkpoints import Checkpoints
from training.state import Epoch, State

KEY = "which run it is"


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    if request.param == "folder":
        yield DirectoryStore(tmp_path / "registry")
        return
    with buckets.emulator() as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        buckets.make_bucket("runs")
        yield BucketStore("runs", "registry/chest-xray")


def trial(number: int) -> Trial:
    metrics = Metrics(accuracy=0.5, images=2, per_class={}, confusion=[])
    return Trial(number=number, parameters={}, ended="epochs", seconds=1.0, validation=metrics)


def test_another_machine_resumes_what_one_began(store, tmp_path):
    weights = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(0, np.float32)]
    state = State(weights, [], weights, [], weights, 7, [0.5], [Epoch(1, 2, 0.1, 1 / 3, 0.5, 1.5)], [2, 2], 1.5, "")
    one = Checkpoints(store, tmp_path / "one", 4, KEY)
    one.finish([trial(1)], weights)
    one.save(2, state, urgent=False)
    one.close()

    other = Checkpoints.resumed(store, tmp_path / "other", [5, 4], KEY)
    assert other is not None and other.version == 4
    again = other.state(2)
    assert again is not None
    assert again.to_bytes() == state.to_bytes()
    assert again.history == state.history
    assert [done.number for done in other.trials()] == [1]
    other.finish([trial(1), trial(2)], [weights[0] + 1])
    assert other.state(2) is None
    assert np.array_equal(other.best(2)[0], weights[0] + 1)
    other.clear()
    other.close()
    assert store.list("runs/4") == [] or all(key.endswith("/") for key in store.list("runs/4"))


def test_run_with_another_key_is_not_taken_over(store, tmp_path):
    Checkpoints(store, tmp_path, 1, KEY).close()
    assert Checkpoints.resumed(store, tmp_path, [1], "another") is None
