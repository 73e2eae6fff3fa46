"""Runs that take long give way: they are done by TensorFlow's threads of lower priority, and answer the same."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.model_server import long_runs
from serving.model_server.batching import Batcher
from serving.model_server.batching_parameters import BatchingParameters
from serving.model_server.callers import Caller, ending_at
from serving.model_server.errors import ServingError
from serving.model_server.long_runs import GivingWay, Least, LongRuns, lowered
from serving.model_server.model import SavedModel
from tests.integration.model_server import fixtures

needs_priorities = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system has no priorities for threads"
)


def priority() -> int:
    """Of this thread."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def work(seconds: float) -> str:
    """Takes so much of the processor's time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return "here"


def test_a_run_gives_way_after_it_took_long_and_no_more_once_it_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_runs, "LONG_SECONDS", 0.01)
    made = []

    def make() -> object:
        made.append(1)
        return lambda seconds: (time.sleep(seconds), "by others")[1]

    call = GivingWay(work, make)  # type: ignore[arg-type]
    assert [call(seconds) for seconds in (0.02, 0.0, 0.02, 0.02, 0.02, 0.0, 0.0, 0.02, 0.02, 0.02)] == [
        "here", "here", "here", "here", "by others", "by others", "here", "here", "here", "by others",
    ]  # fmt: skip
    assert made == [1]


def test_waiting_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_runs, "LONG_SECONDS", 0.05)

    def never() -> object:
        raise AssertionError("gave way")

    call = GivingWay(time.sleep, never)  # type: ignore[arg-type]
    for seconds in (0.1, 0.1, 0.0):
        call(seconds)


def test_what_goes_wrong_in_a_long_run_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_runs, "LONG_SECONDS", 0.0)

    def run() -> None:
        raise ValueError("of the run")

    call = GivingWay(run, lambda: run)
    for _ in range(4):
        with pytest.raises(ValueError, match="of the run"):
            call()


class Gated:
    """A model's run that waits for its gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.began = threading.Semaphore(0)
        self.calls = 0

    def __call__(self, array: Any) -> list[Any]:
        self.calls += 1
        self.began.release()
        assert self.gate.wait(20)
        return [array]


def known_to_be_long(turns: LongRuns, run: Any = None) -> GivingWay:
    """A run that took long before."""
    call = GivingWay(run or (lambda *_: []), lambda: run, turns)
    call._long = long_runs._IN_A_ROW
    return call


def one_that_was_quick(turns: LongRuns) -> GivingWay:
    """Another model's run, which has just answered."""
    call = GivingWay(lambda array: [array], lambda: None, turns)  # type: ignore[arg-type, return-value]
    call(np.zeros(1))
    return call


def test_long_runs_of_all_models_take_no_more_than_the_cores() -> None:
    turns = LongRuns(2)
    slow, other = known_to_be_long(turns), known_to_be_long(turns)
    ends = [turns.begin(slow), turns.begin(other)]
    assert all(ends)
    assert turns.begin(slow) is turns.begin(other) is None
    assert not turns.may_begin(slow)
    assert turns.begin(one_that_was_quick(turns))
    ends[0]()  # type: ignore[misc]
    ends[1]()  # type: ignore[misc]
    assert turns.may_begin(slow)


def test_long_runs_leave_a_core_while_another_model_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = LongRuns(2)
    slow = known_to_be_long(turns)
    one_that_was_quick(turns)
    end = turns.begin(slow)
    assert end
    assert turns.begin(slow) is None
    monkeypatch.setattr(long_runs, "RECENT_SECONDS", 0.0)
    assert turns.begin(slow), "the quick model was not asked any more"


def test_a_model_that_was_quick_itself_keeps_its_cores() -> None:
    turns = LongRuns(2)
    call = one_that_was_quick(turns)
    call(np.zeros(1))
    call._long = long_runs._IN_A_ROW
    assert turns.begin(call)
    assert turns.begin(call)


def test_a_run_that_is_refused_says_nothing_of_how_long_others_take() -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("refused")

    turns = LongRuns(2)
    slow = known_to_be_long(turns, refuse)
    with pytest.raises(ValueError, match="refused"):
        slow()
    assert slow.is_long


def test_of_a_slow_model_one_batch_runs_beside_a_quick_one_and_what_is_abandoned_meanwhile_is_not_begun() -> None:
    turns = LongRuns(2)
    batcher = Batcher(BatchingParameters(max_batch_size=1, threads=2, max_enqueued_batches=41), turns)
    model = Gated()
    slow, quick = known_to_be_long(turns, model), one_that_was_quick(turns)
    rows = [np.zeros((1, 1), np.float32)]
    first = batcher.begin(slow, rows)[0]
    assert model.began.acquire(timeout=20)
    abandoned = [batcher.begin(slow, rows)[0] for _ in range(40)]
    last = batcher.begin(slow, rows)[0]
    for _ in range(3):
        # By a thread of batches, which was free to begin one of the others.
        assert batcher.begin(quick, rows)[0].result(20)
    assert not any(one.running() for one in abandoned)
    assert all(one.cancel() for one in abandoned)
    others = [batcher.begin(slow, rows)[0] for _ in range(40)]  # there is room for as many again
    assert all(one.cancel() for one in others)
    model.gate.set()
    assert first.result(20)
    assert last.result(20)
    assert model.calls == 2


def test_a_long_run_without_batching_waits_for_its_turn_and_is_dropped_when_nobody_does() -> None:
    turns, model = LongRuns(2), Gated()
    slow = known_to_be_long(turns, model)
    one_that_was_quick(turns)
    callers = [Caller() for _ in range(3)]

    def run(caller: Caller) -> Any:
        with caller.served(), turns.turn(slow):
            return slow(1)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(run, callers[0])
        assert model.began.acquire(timeout=20)
        waiting = []
        for number, caller in enumerate(callers[1:], start=1):
            waiting.append(pool.submit(run, caller))
            end = time.monotonic() + 20
            while len(turns._waiting) < number:
                assert time.monotonic() < end, "waited in vain"
                time.sleep(0.005)
        callers[1].leave()
        with pytest.raises(ServingError, match="went away"):
            waiting[0].result(20)
        model.gate.set()
        assert first.result(20) == waiting[1].result(20) == [1]
    assert model.calls == 2
    assert turns.may_begin(slow)


def test_the_end_of_a_long_run_without_batching_lets_a_batch_begin() -> None:
    turns = LongRuns(2)
    batcher = Batcher(BatchingParameters(max_batch_size=1, threads=2), turns)
    slow = known_to_be_long(turns, lambda array: [array])
    one_that_was_quick(turns)
    with turns.turn(slow):
        waiting = batcher.begin(slow, [np.zeros((1, 1), np.float32)])[0]
        assert not waiting.running()
    assert waiting.result(20)


def test_each_long_run_has_a_thread_of_its_own() -> None:
    least = Least(2)
    with least.one() as first, least.one() as second:
        assert {first, second} == {0, 1}
        with least.one() as third:
            assert third in (0, 1)
    with least.one() as again:
        assert again == 0


@needs_priorities
def test_threads_that_a_lowered_one_starts_are_lowered_too() -> None:
    found: list[int] = []

    def start() -> None:
        thread = threading.Thread(target=lambda: found.append(priority()))
        thread.start()
        thread.join()

    before = priority()
    lowered(start)
    assert found == [min(19, before + long_runs._NICE)]
    assert priority() == before


@needs_priorities
def test_a_models_long_runs_are_done_by_threads_of_lower_priority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    class Slow(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def wait(self, x):  # type: ignore[no-untyped-def]
            # Small operations: a large one is shared out to TensorFlow's other threads, which may do all of it.
            total = tf.reduce_sum(x)
            for _ in tf.range(3000):
                total = total * 0.5
            return {"y": x + total * 0.0}

    def spent() -> dict[str, int]:
        """Ticks of processor time of each thread of lower priority."""
        found = {}
        for thread in os.listdir("/proc/self/task"):
            if os.getpriority(os.PRIO_PROCESS, int(thread)) > priority():
                fields = Path(f"/proc/self/task/{thread}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                found[thread] = int(fields[11]) + int(fields[12])
        return found

    if not Path("/proc/self/task").exists():
        pytest.skip("this system does not tell what a thread has done")
    made = Slow()
    tf.saved_model.save(made, str(tmp_path), signatures={"serving_default": made.wait})
    model = SavedModel(str(tmp_path))
    plan = model.plan("serving_default")
    feeds = {"x": np.float32([1, 2])}
    monkeypatch.setattr(long_runs, "LONG_SECONDS", 1e9)
    answers = [plan.run(feeds)[0].tolist()]
    before = spent()
    answers.append(plan.run(feeds)[0].tolist())
    assert spent() == before
    monkeypatch.setattr(long_runs, "LONG_SECONDS", 0.0)
    # The system counts in steps of 10 ms.
    for _ in range(100):
        answers.append(plan.run(feeds)[0].tolist())
        if sum(spent().values()) > sum(before.values()):
            break
    else:
        pytest.fail("the threads of lower priority did nothing")
    assert all(answer == [1.0, 2.0] for answer in answers)
    model.close()


def test_threads_of_lower_priority_answer_the_same_whatever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = SavedModel(str(fixtures.echo(tmp_path / "1")))
    asked = {
        "serving_default": {"text": np.array([[b"a\0\0", b""], ["ü".encode(), b"\xff"]], object)},
        "numbers": {"a": np.float32(0.1), "b": np.int64([[1, 2]])},
        "halves": {"h": np.float16([1, 2])},
    }
    for signature, arrays in asked.items():
        plan = model.plan(signature)
        quick = plan.run(arrays)
        with monkeypatch.context() as every_run:
            every_run.setattr(long_runs, "LONG_SECONDS", 0.0)
            for _ in range(3):
                plan.run(arrays)
        giving_way = plan.run(arrays)
        for one, other in zip(quick, giving_way, strict=True):
            assert (one.dtype, one.shape, one.tolist()) == (other.dtype, other.shape, other.tolist())
    model.close()


def test_a_long_run_ends_in_a_loop_when_nobody_waits_for_it_any_longer(tmp_path: Path) -> None:
    import tensorflow as tf

    model = SavedModel(str(fixtures.slow(tmp_path / "1", rounds=2000)))  # many seconds
    plan = model.plan("serving_default")
    plan._call._long = long_runs._IN_A_ROW  # type: ignore[attr-defined]
    with ending_at(time.monotonic() + 0.2), pytest.raises(tf.errors.DeadlineExceededError):
        plan.run({"x": np.float32([1])})
    assert plan._call.is_long  # type: ignore[attr-defined]
    model.close()
