"""Memory as the kernel tells it."""

import os
import subprocess

import pytest

from serving.pod import memory

ONE = """Name:	python3.11
VmPeak:	 9000000 kB
VmHWM:	  819200 kB
VmRSS:	  524288 kB
VmSwap:	       0 kB
"""
OTHER = """Name:	docker-init
VmHWM:	    1024 kB
VmRSS:	    1024 kB
"""
KERNEL_THREAD = "Name:\tkthreadd\nState:\tS (sleeping)\n"


@pytest.mark.parametrize("text", [ONE, OTHER + ONE, ONE + OTHER, KERNEL_THREAD + ONE])
def test_largest_process_counts_in_mebibytes(text):
    assert memory.of_status(text) == (512.0, 800.0)


@pytest.mark.parametrize("text", ["", KERNEL_THREAD, "VmRSS:\t 1024 kB\n", "No such container: pod\n"])
def test_memory_that_is_not_told_is_none(text):
    assert memory.of_status(text) is None


def test_own_memory_grows_by_what_is_taken():
    before = memory.of_process(os.getpid())
    taken = b"x" * (64 << 20)
    during = memory.of_process(os.getpid())
    del taken
    after = memory.of_process(os.getpid())
    assert during[0] - before[0] >= 60
    assert after[1] >= during[0] - 1  # the highest is kept


def test_ended_process_has_none():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert memory.of_process(process.pid) is None
