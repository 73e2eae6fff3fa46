"""The command itself, killed or asked to stop while it waits for a pod."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from promote import intent
from registry import Registry
from testkit.registries import open_registry, promotable
from tests.integration.promote.pods import GOLDEN, PROBABILITIES, Pod, running


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Version 1 in production, 2 tested."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINYARD_REGISTRY_URI", str(tmp_path / "registry"))
    monkeypatch.setenv("TRAINYARD_MAIL_OUTBOX", str(tmp_path / "outbox"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    # Who is killed can't remove the copy of the model that it looks at.
    (copies := tmp_path / "copies").mkdir()
    monkeypatch.setenv("TMPDIR", str(copies))
    registry = open_registry(tmp_path)
    for _ in range(2):
        promotable(registry, tmp_path, golden=[{"image": GOLDEN, "probabilities": PROBABILITIES}])
    run("run", "--version", "1")
    return registry


def run(*arguments: str, expected: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "promote", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == expected, done.stderr
    return done.stderr


@contextmanager
def waiting_for(registry: Registry, address: str) -> Iterator[subprocess.Popen[str]]:
    """A promotion of version 2 that waits for a pod which never loads it."""
    command = [sys.executable, "-m", "promote", "run", "--version", "2", "--pod", address, "--timeout", "600"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while registry.serving().versions != (1, 2):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def test_second_command_at_the_same_time_ends_with_a_conflict(registry: Registry) -> None:
    with running(Pod(registry, never_loads={2})) as (address,), waiting_for(registry, address) as first:
        told = run("run", "--version", "2", expected=5)
        assert f"process {first.pid} on " in told and "Traceback" not in told
        run("rollback", "--to", "1", expected=5)
        assert first.poll() is None


def test_killed_command_is_undone_by_the_next(registry: Registry) -> None:
    with running(Pod(registry, never_loads={2})) as (address,):
        with waiting_for(registry, address) as first:
            first.send_signal(signal.SIGKILL)
            first.wait(30)
        assert registry.serving().versions == (1, 2) and registry.serving().stable == 1
    with running(Pod(registry)) as (address,):
        told = run("run", "--version", "2", "--pod", address)
    assert "Undoing the promotion of version 2" in told
    assert registry.serving().stable == 2
    assert intent.current(registry) is None


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_command_puts_everything_back(registry: Registry, sent: signal.Signals, code: int) -> None:
    with running(Pod(registry, never_loads={2})) as (address,), waiting_for(registry, address) as first:
        first.send_signal(sent)
        assert first.wait(30) == code
        assert first.stderr and "version 1 is served as before" in first.stderr.read()
    assert (registry.serving().versions, registry.serving().labels) == ((1,), {"stable": 1})
    assert intent.current(registry) is None
