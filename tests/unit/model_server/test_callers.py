"""Clients that go away: what has not begun for them is dropped, and makes room for others."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serving.model_server.batching import Batcher
from serving.model_server.batching_parameters import BatchingParameters
from serving.model_server.callers import Caller, Places, deadline, ending_at
from serving.model_server.errors import ServingError

Array = np.ndarray[Any, Any]
ROW = [np.zeros((1, 1), np.float32)]


class Model:
    """A callable that waits for its gate, and counts its calls."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.began = threading.Semaphore(0)
        self.calls = 0

    def __call__(self, array: Array) -> list[Array]:
        self.calls += 1
        self.began.release()
        assert self.gate.wait(20)
        return [array]


def until(condition: Any) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def served(caller: Caller, work: Any) -> Any:
    """`work()`, in this thread, for `caller`."""
    with caller.served():
        return work()


def test_places_go_to_those_who_still_wait() -> None:
    places, model = Places(1), Model()

    def run() -> list[Array]:
        with places:
            return model(ROW[0])

    callers = [Caller() for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(served, callers[0], run)
        assert model.began.acquire(timeout=20)
        waiting = [pool.submit(served, caller, run) for caller in callers[1:]]
        until(lambda: len(places._waiting) == 4)
        for caller in callers[1:4]:
            caller.leave()
        for left in waiting[:3]:
            with pytest.raises(ServingError, match="went away"):
                left.result(20)
        model.gate.set()
        assert len(first.result(20)) == len(waiting[3].result(20)) == 1
    assert model.calls == 2
    assert places._free == 1


def test_who_has_left_before_gets_no_place_and_keeps_none() -> None:
    places, gone = Places(1), Caller()
    gone.leave()
    with places, ThreadPoolExecutor(1) as pool, pytest.raises(ServingError, match="went away"):
        pool.submit(served, gone, places.__enter__).result(20)
    with places:
        pass
    assert places._free == 1


def test_abandoned_requests_leave_their_batch() -> None:
    batcher, model = Batcher(BatchingParameters(max_batch_size=2, threads=1, max_enqueued_batches=1)), Model()
    callers = [Caller() for _ in range(4)]

    def run() -> list[Array]:
        return batcher.run(model, ROW)

    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(served, callers[0], run)
        assert model.began.acquire(timeout=20)
        left = [pool.submit(served, caller, run) for caller in callers[1:3]]
        until(lambda: sum(batch.size for queue in batcher._queues.values() for batch in queue) == 2)
        with pytest.raises(ServingError, match="full"):
            run()
        for caller in callers[1:3]:
            caller.leave()
        for one in left:
            with pytest.raises(ServingError, match="went away"):
                one.result(20)
        last = pool.submit(served, callers[3], run)  # there is room again
        until(lambda: sum(batch.size for queue in batcher._queues.values() for batch in queue) == 1)
        model.gate.set()
        assert len(first.result(20)) == len(last.result(20)) == 1
    assert model.calls == 2


def test_a_model_does_not_take_all_threads_of_batches() -> None:
    batcher, slow, quick = Batcher(BatchingParameters(max_batch_size=1, threads=2)), Model(), Model()
    quick.gate.set()
    with ThreadPoolExecutor(6) as pool:
        many = [pool.submit(batcher.run, slow, ROW) for _ in range(6)]
        for _ in range(2):
            assert slow.began.acquire(timeout=20)
        assert len(batcher.run(quick, ROW)) == 1
        assert slow.calls == 2
        slow.gate.set()
        assert all(len(one.result(20)) == 1 for one in many)


def test_several_that_wait_together_end_with_the_last_and_are_not_tried_one_by_one_after_it() -> None:
    batcher, gate, calls = Batcher(BatchingParameters(max_batch_size=8, threads=1)), Model(), []

    def call(array: Array) -> list[Array]:
        calls.append((len(array), deadline()))
        if len(calls) == 1:
            return gate(array)
        if (end := deadline()) is not None:
            time.sleep(max(0.0, end - time.monotonic()))
        raise RuntimeError("ended")

    first = batcher.begin(call, ROW)[0]
    assert gate.began.acquire(timeout=20)
    late = time.monotonic() + 1.0
    waiting = []
    for end in (late - 0.5, late):
        with ending_at(end):
            waiting.append(batcher.begin(call, ROW)[0])
    gate.gate.set()
    first.result(20)
    for one in waiting:
        with pytest.raises(RuntimeError, match="ended"):
            one.result(20)
    assert calls == [(1, None), (2, late)]


def test_who_waits_for_ever_among_others_is_waited_for() -> None:
    batcher, gate, seen = Batcher(BatchingParameters(max_batch_size=8, threads=1)), Model(), []

    def call(array: Array) -> list[Array]:
        seen.append(deadline())
        return gate(array)

    first = batcher.begin(call, ROW)[0]
    assert gate.began.acquire(timeout=20)
    with ending_at(time.monotonic() + 1000):
        waiting = [batcher.begin(call, ROW)[0]]
    waiting.append(batcher.begin(call, ROW)[0])
    gate.gate.set()
    for one in (first, *waiting):
        one.result(20)
    assert seen == [None, None]


def test_a_thread_that_works_for_a_client_knows_until_when() -> None:
    with ending_at(5.0):
        caller = Caller()
    assert served(caller, deadline) == 5.0
    assert deadline() is None
