"""Batching, with a function in place of a model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.model_server import textproto
from serving.model_server.batching import Batcher, ModelBatcher
from serving.model_server.batching_parameters import BatchingParameters, parameters
from serving.model_server.errors import ServingError, StartError

SPLITTING = "enable_large_batch_splitting { value: true }"


class Doubler:
    """Doubles its input; remembers the sizes it was called with; waits for `gate`; fails on negative numbers."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        self.sizes.append(len(x))
        self.started.release()
        assert self.gate.wait(20)
        if (x < 0).any():
            raise ServingError(grpc.StatusCode.OUT_OF_RANGE, "negative")
        return [x * 2]


def held(chosen: BatchingParameters) -> tuple[Batcher, Doubler, ThreadPoolExecutor]:
    """A batcher whose only thread is busy, so that what comes next must queue."""
    batcher, call, pool = Batcher(chosen), Doubler(), ThreadPoolExecutor(32)
    call.gate.clear()
    pool.submit(batcher.run, call, [np.zeros(1)])
    assert call.started.acquire(timeout=20)
    return batcher, call, pool


def queued(batcher: Batcher, call: Doubler) -> int:
    """Rows that wait."""
    return sum(batch.size for queue in batcher._queues.values() for batch in queue)


def wait_for(batcher: Batcher, call: Doubler, rows: int) -> None:
    """Until `rows` rows are queued."""
    end = time.monotonic() + 20
    while queued(batcher, call) != rows:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_requests_that_wait_together_run_together() -> None:
    batcher, call, pool = held(BatchingParameters(max_batch_size=8, threads=1))
    results = [pool.submit(batcher.run, call, [np.full(2, n)]) for n in range(4)]
    wait_for(batcher, call, 8)
    call.gate.set()
    assert [result.result(20)[0].tolist() for result in results] == [[2 * n] * 2 for n in range(4)]
    assert call.sizes == [1, 8]


@pytest.mark.parametrize(
    ("chosen", "largest"),
    [
        (BatchingParameters(max_batch_size=32, threads=2), range(3, 7)),
        (BatchingParameters(max_batch_size=32, threads=2, timeout_seconds=1e-6), [12]),
        (BatchingParameters(max_batch_size=12, threads=2, allowed_batch_sizes=(12,)), [12]),
        (BatchingParameters(max_batch_size=32, threads=1), [12]),
    ],
)
def test_a_thread_leaves_the_others_as_much_as_it_takes(chosen: BatchingParameters, largest: Container[int]) -> None:
    batcher, call = Batcher(chosen), Doubler()
    call.gate.clear()
    for _ in range(chosen.threads):
        batcher.begin(call, [np.zeros(1)])
        assert call.started.acquire(timeout=20)
    results = [batcher.begin(call, [np.full(1, n)])[0] for n in range(12)]
    call.gate.set()
    assert [result.result(20)[0].tolist() for result in results] == [[2 * n] for n in range(12)]
    assert max(call.sizes[chosen.threads :]) in largest


def test_clients_leave_what_a_thread_has_left_in_the_queue() -> None:
    batcher, call = Batcher(BatchingParameters(max_batch_size=32, threads=2)), Doubler()
    call.gate.clear()
    for _ in range(2):
        batcher.begin(call, [np.zeros(1)])
        assert call.started.acquire(timeout=20)
    waiting = [batcher.begin(call, [np.zeros(1)])[0] for _ in range(12)]
    key = next(iter(batcher._queues))
    with batcher._changed:
        taken = batcher._take(key)
    assert 0 < taken.size < 12
    for result in waiting:
        result.cancel()
    assert queued(batcher, call) == 0
    assert not batcher._queues
    call.gate.set()


def test_a_request_of_many_rows_is_not_shared_out() -> None:
    batcher, call = Batcher(BatchingParameters(max_batch_size=32, threads=2)), Doubler()
    assert batcher.begin(call, [np.zeros(9)])[0].result(20)[0].shape == (9,)
    assert call.sizes == [9]


def test_a_bad_request_fails_alone() -> None:
    batcher, call, pool = held(BatchingParameters(max_batch_size=8, threads=1))
    good = pool.submit(batcher.run, call, [np.array([3.0])])
    bad = pool.submit(batcher.run, call, [np.array([-1.0])])
    wait_for(batcher, call, 2)
    call.gate.set()
    assert good.result(20)[0].tolist() == [6.0]
    with pytest.raises(ServingError, match="negative"):
        bad.result(20)


def test_rows_of_different_shape_do_not_meet() -> None:
    batcher, call, pool = held(BatchingParameters(max_batch_size=8, threads=1))
    flat = pool.submit(batcher.run, call, [np.ones((1, 2))])
    square = pool.submit(batcher.run, call, [np.ones((1, 2, 2))])
    wait_for(batcher, call, 2)
    call.gate.set()
    assert flat.result(20)[0].shape == (1, 2)
    assert square.result(20)[0].shape == (1, 2, 2)


def test_a_full_queue_is_unavailable() -> None:
    batcher, call, pool = held(BatchingParameters(max_batch_size=1, max_enqueued_batches=2, threads=1))
    waiting = [pool.submit(batcher.run, call, [np.zeros(1)]) for _ in range(2)]
    wait_for(batcher, call, 2)
    with pytest.raises(ServingError) as refused:
        batcher.run(call, [np.zeros(1)])
    assert refused.value.code.name == "UNAVAILABLE"
    call.gate.set()
    assert [result.result(20)[0].tolist() for result in waiting] == [[0.0]] * 2


def test_sizes_are_padded_to_the_allowed_ones() -> None:
    batcher, call = Batcher(BatchingParameters(max_batch_size=8, threads=1, allowed_batch_sizes=(4, 8))), Doubler()
    assert batcher.run(call, [np.arange(3)])[0].tolist() == [0, 2, 4]
    assert batcher.run(call, [np.arange(5)])[0].tolist() == [0, 2, 4, 6, 8]
    assert call.sizes == [4, 8]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], BatchingParameters]:
    def written(text: str) -> BatchingParameters:
        (tmp_path / "batching").write_text(text)
        return parameters(textproto.read(str(tmp_path / "batching"), "BatchingParameters"))

    return written


def test_a_large_request_is_run_in_parts_and_answered_as_one(file: Callable[[str], BatchingParameters]) -> None:
    chosen = file(
        f"max_batch_size {{ value: 9 }} {SPLITTING} "
        "max_execution_batch_size { value: 4 } num_batch_threads { value: 1 }"
    )
    batcher, call = Batcher(chosen), Doubler()
    assert batcher.run(call, [np.arange(9)])[0].tolist() == list(range(0, 18, 2))
    assert call.sizes == [4, 4, 1]
    with pytest.raises(ServingError, match="larger than maximum input batch size 9"):
        batcher.run(call, [np.arange(10)])


def test_parts_of_large_requests_share_batches_with_others() -> None:
    batcher, call, pool = held(BatchingParameters(max_batch_size=9, threads=1, max_execution_size=4))
    large = pool.submit(batcher.run, call, [np.arange(6)])
    wait_for(batcher, call, 6)
    small = pool.submit(batcher.run, call, [np.arange(2)])
    wait_for(batcher, call, 8)
    call.gate.set()
    assert large.result(20)[0].tolist() == [0, 2, 4, 6, 8, 10]
    assert small.result(20)[0].tolist() == [0, 2]
    assert call.sizes == [1, 4, 4]


def test_a_part_that_fails_fails_its_request_alone() -> None:
    batcher, call, pool = held(BatchingParameters(max_batch_size=9, threads=1, max_execution_size=2))
    bad = pool.submit(batcher.run, call, [np.array([1.0, 1.0, -1.0])])
    wait_for(batcher, call, 3)
    good = pool.submit(batcher.run, call, [np.array([4.0])])
    wait_for(batcher, call, 4)
    call.gate.set()
    assert good.result(20)[0].tolist() == [8.0]
    with pytest.raises(ServingError, match="negative"):
        bad.result(20)


def test_rows_of_variable_length_are_padded_with_their_first_value() -> None:
    batcher, call, pool = held(BatchingParameters(max_batch_size=8, threads=1, pad_variable_length=True))
    short = pool.submit(batcher.run, call, [np.array([[5, 6]])])
    wait_for(batcher, call, 1)
    long = pool.submit(batcher.run, call, [np.array([[1, 2, 3, 4]])])
    wait_for(batcher, call, 2)
    call.gate.set()
    assert short.result(20)[0].tolist() == [[10, 12, 10, 10]]
    assert long.result(20)[0].tolist() == [[2, 4, 6, 8]]
    assert call.sizes == [1, 2]


def test_settings_without_effect_are_accepted_and_said_to_be(
    file: Callable[[str], BatchingParameters], caplog: pytest.LogCaptureFixture
) -> None:
    chosen = file("max_batch_size { value: 9 } max_execution_batch_size { value: 4 }")
    assert (chosen.max_batch_size, chosen.execution_size) == (9, 9)
    assert "max_execution_batch_size is without effect" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        f"max_batch_size {{ value: 4 }} {SPLITTING} max_execution_batch_size {{ value: 5 }}",
        "max_batch_size { value: 0 }",
        f"max_execution_batch_size {{ value: 0 }} {SPLITTING}",
        "max_batch_size { value: 4 } allowed_batch_sizes: 2",
        "unknown: 1",
    ],
)
def test_settings_that_make_no_sense_end_the_start(file: Callable[[str], BatchingParameters], text: str) -> None:
    with pytest.raises(StartError):
        file(text)


@pytest.mark.parametrize(
    ("feeds", "text"),
    [
        ([], "at least one input tensor"),
        ([np.float32(1)], "at least one dimension"),
        ([np.zeros(2), np.zeros(3)], "equal 0th"),
        ([np.zeros(9)], "larger than"),
    ],
)
def test_what_cannot_be_batched_is_refused(feeds: list[np.ndarray], text: str) -> None:
    with pytest.raises(ServingError, match=text):
        Batcher(BatchingParameters(max_batch_size=8, threads=1)).run(Doubler(), feeds)


def test_a_model_of_its_own_sizes_and_times_shares_the_threads() -> None:
    batcher, common, own = Batcher(BatchingParameters(max_batch_size=8, threads=1)), Doubler(), Doubler()
    model = ModelBatcher(batcher, BatchingParameters(max_batch_size=2, timeout_seconds=10, threads=64))
    with ThreadPoolExecutor(4) as pool:
        # Full at two rows, long before its time, though the others' batches hold eight.
        for part in [pool.submit(model.run, own, [np.ones((1, 3))]) for _ in range(2)]:
            np.testing.assert_array_equal(part.result(20)[0], np.full((1, 3), 2.0))
    assert own.sizes == [2]
    with pytest.raises(ServingError, match="Task size 3 is larger than maximum input batch size 2"):
        model.run(own, [np.ones(3)])
    assert len(batcher.run(common, [np.ones(3)])[0]) == 3
