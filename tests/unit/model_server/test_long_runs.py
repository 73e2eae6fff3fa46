"""Runs that take long give way: their threads have a lower priority, and their answers are the same."""

from __future__ import annotations

import os
import threading
import time

import pytest

from serving.model_server import long_runs
from serving.model_server.long_runs import GivingWay


def priority() -> int:
    """Of this thread."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no priorities for threads")
def test_a_run_gives_way_after_it_took_long_and_no_more_once_it_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_runs, "LONG_SECONDS", 0.01)

    def run(seconds: float) -> tuple[int, int]:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass
        return threading.get_ident(), priority()

    here = threading.get_ident(), priority()
    call = GivingWay(run)
    assert call(0.0) == here
    assert call(0.02) == here
    thread, given = call(0.02)
    assert (thread != here[0], given) == (True, min(19, here[1] + long_runs._NICE))
    call(0.0)
    assert call(0.0) == here


def test_waiting_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_runs, "LONG_SECONDS", 0.05)

    def run() -> int:
        time.sleep(0.1)
        return threading.get_ident()

    call = GivingWay(run)
    call()
    assert call() == threading.get_ident()


def test_what_goes_wrong_in_a_long_run_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_runs, "LONG_SECONDS", 0.0)

    def run() -> None:
        raise ValueError("of the run")

    with pytest.raises(ValueError, match="of the run"):
        GivingWay(run)()
