"""Runs that take long give way: they are done by TensorFlow's threads of lower priority, and answer the same."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from serving.model_server import long_runs
from serving.model_server.long_runs import GivingWay, lowered

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

    from serving.model_server.model import SavedModel

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
