"""A serving pod of two processes: it comes up, tells whose fault it is when it does not last, and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.client import Client
from serving.pod import LocalPod, PodFailed
from testkit.pods import LABELS, MODEL, picture, write_models
from tests import warm_server

# A version that can't be loaded is told at once.
AT_ONCE = ("--max_num_load_retries=0",)


PROCESSES_OF_THEIR_OWN = subprocess.Popen


@pytest.fixture(autouse=True)
def forked_servers():
    """But for that of `test_nothing_remains_when_its_owner_is_killed`."""
    with warm_server.forked():
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


def pid_of(pod, name):
    return pod._processes[name].pid


def ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # What nobody has waited for yet has ended all the same.
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(") ")[2].startswith("Z")


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_it_answers_the_same_after_a_restart_and_leaves_nothing(config, tmp_path, monkeypatch):
    # Loopback is asked directly, whatever proxy the environment names.
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with LocalPod(config, MODEL, tmp_path / "logs") as pod, Client(pod.address) as client:
        before = client.classify(picture())
        assert set(before.scores) == set(LABELS)
        now, highest = pod.memory_mib()
        assert 50 < now <= highest + 1
        first = pid_of(pod, "model_server")
        pod.restart_model_server()
        assert pid_of(pod, "model_server") != first
        assert client.classify(picture()).scores == before.scores
        pids, folder = [first, pid_of(pod, "model_server"), pid_of(pod, "adapter")], Path(pod._folder.name)
        assert folder.is_dir()
    assert all(map(ended, pids))
    assert not folder.exists()


def test_crash_of_the_model_server_is_the_models(config, tmp_path):
    with LocalPod(config, MODEL, tmp_path / "logs") as pod:
        pod.check()
        os.kill(pid_of(pod, "model_server"), signal.SIGSEGV)
        pod._processes["model_server"].wait(10)
        with pytest.raises(PodFailed, match=r"^the model server crashed \(SIGSEGV\)$") as caught:
            pod.check()
    assert caught.value.by_model


@pytest.mark.parametrize(
    ("program", "number"),
    [("model_server", signal.SIGKILL), ("adapter", signal.SIGSEGV)],
    ids=["killed from outside", "adapter crashed"],
)
def test_what_is_not_the_models_doing_does_not_blame_it(config, tmp_path, program, number):
    pod = LocalPod(config, MODEL, tmp_path)
    with ThreadPoolExecutor(1) as thread:
        starting = thread.submit(pod.start)
        eventually(lambda: program in pod._processes)
        os.kill(pid_of(pod, program), number)
        try:
            with pytest.raises(PodFailed, match=program.replace("_", " ")) as caught:
                starting.result(30)
        finally:
            pod.stop()
    assert not caught.value.by_model


def test_need_of_more_memory_than_production_has_is_the_models(config, tmp_path, monkeypatch):
    # Of what a forked one shares with others not all counts as its own, and it is up before it is looked at.
    monkeypatch.setattr(subprocess, "Popen", PROCESSES_OF_THEIR_OWN)
    with pytest.raises(PodFailed) as caught, LocalPod(config, MODEL, tmp_path, memory_limit_mib=64):
        pass
    assert caught.value.by_model
    assert str(caught.value) == "the model server needed more than its 64 MiB of memory"


def test_model_that_cannot_be_loaded_is_to_blame(tmp_path):
    config = write_models(tmp_path / "models")
    (tmp_path / "models" / MODEL / "1" / "variables" / "variables.index").unlink()
    with pytest.raises(PodFailed) as caught, LocalPod(config, MODEL, tmp_path / "logs", more_flags=AT_ONCE):
        pass
    assert caught.value.by_model
    assert "variables" in str(caught.value)


def test_version_that_cannot_be_loaded_beside_a_good_one_is_named(tmp_path):
    config = write_models(tmp_path / "models", [2, 1])
    (tmp_path / "models" / MODEL / "2" / "variables" / "variables.index").unlink()
    with pytest.raises(PodFailed) as caught, LocalPod(config, MODEL, tmp_path / "logs", more_flags=AT_ONCE):
        pass
    assert (caught.value.by_model, caught.value.version) == (True, 2)


PARENT = """
import json, sys, time
from pathlib import Path
from serving.pod import LocalPod
pod = LocalPod(sys.argv[1], sys.argv[2], Path(sys.argv[3])).start()
print(json.dumps([pod._folder.name, *(process.pid for process in pod._processes.values())]), flush=True)
time.sleep(600)
"""


def test_nothing_remains_when_its_owner_is_killed(config, tmp_path):
    command = [sys.executable, "-c", PARENT, config, MODEL, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as parent:
        folder, *pids = json.loads(parent.stdout.readline())
        assert len(pids) == 2 and not any(map(ended, pids)) and Path(folder).is_dir()
        parent.kill()
    eventually(lambda: all(map(ended, pids)) and not Path(folder).exists())
