"""A clone in the staging namespace. kubectl is a stand-in that runs the pod's containers as processes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cli import InfrastructureError
from serving.client import Client
from serving.pod import KubernetesPod, PodFailed, model_server_image
from testkit.pods import LABELS, MODEL, picture, write_models
from tests.manifests import ROOT, of_kind, render


class Staging:
    """The namespace: its folder holds what the stand-in knows."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        command = folder / "bin" / "kubectl"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.integration.kubernetes.fake_kubectl "$@"\n')
        command.chmod(0o755)

    def apply(self):
        """What `kubectl apply --kustomize infra/k8s/overlays/staging` would leave there."""
        (deployment,) = of_kind(render("overlays/staging"), "Deployment")
        (self.folder / "deployment.json").write_text(json.dumps(deployment))

    def pods(self):
        return sorted(path.name for path in self.folder.glob("clone-*"))

    def signal(self, container, number):
        (name,) = self.pods()
        os.kill(int((self.folder / name / f"{container}.pid").read_text()), number)
        eventually(lambda: (self.folder / name / f"{container}.code").exists())

    def calls(self, verb):
        lines = (self.folder / "calls").read_text().splitlines()
        return [call[2:] for call in map(json.loads, lines) if call[2] == verb]


@pytest.fixture
def staging(tmp_path, monkeypatch):
    made = Staging(tmp_path / "staging")
    monkeypatch.setenv("FAKE_KUBECTL", str(made.folder))
    monkeypatch.setenv("FAKE_BATCHING", str(ROOT / "serving" / "tensorflow_serving" / "batching.config"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    real = os.environ["PATH"]
    made.apply()  # by the real kubectl
    monkeypatch.setenv("PATH", f"{made.folder}/bin{os.pathsep}{real}")
    return made


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


def clone(config, folder, **more):
    return KubernetesPod(config, MODEL, folder, namespace="trainyard-staging", **more)


def eventually(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_it_answers_the_same_after_a_restart_and_leaves_nothing(staging, config, tmp_path):
    with clone(config, tmp_path / "logs") as pod, Client(pod.address) as client:
        before = client.classify(picture())
        assert set(before.scores) == set(LABELS)
        now, highest = pod.memory_mib()
        assert 100 < now <= highest
        (first,) = staging.pods()
        pod.restart_model_server()
        assert client.classify(picture()).scores == before.scores
        assert staging.pods() != [first]
        pod.check()
    assert staging.pods() == []
    assert "chest-xray" in (tmp_path / "logs" / "model_server.log").read_text()
    # What earlier ones have left behind goes too.
    assert ["delete", "pods", "--selector", "app=clone"] in [call[:4] for call in staging.calls("delete")]


def test_a_program_that_ends_is_told_apart(staging, config, tmp_path):
    with clone(config, tmp_path) as pod:
        staging.signal("model-server", signal.SIGSEGV)
        with pytest.raises(PodFailed, match=r"^the model server crashed \(SIGSEGV\)$") as crashed:
            pod.check()
        assert crashed.value.by_model
        (name,) = staging.pods()
        (staging.folder / name / "oom").touch()
        with pytest.raises(PodFailed, match=r"^the model server needed more than its 2048Mi of memory$") as large:
            pod.check()
        assert large.value.by_model
    assert staging.pods() == []


def test_model_that_cannot_be_loaded_is_to_blame(staging, tmp_path):
    config = write_models(tmp_path / "models")
    (tmp_path / "models" / MODEL / "1" / "variables" / "variables.index").unlink()
    pod = clone(config, tmp_path / "logs", more_flags=("--max_num_load_retries=0",))
    with pytest.raises(PodFailed, match="variables") as caught, pod:
        pass
    assert caught.value.by_model
    assert staging.pods() == []


def test_without_a_deployment_the_way_out_is_named(staging, config, tmp_path):
    (staging.folder / "deployment.json").unlink()
    with pytest.raises(InfrastructureError, match=r"overlays/staging first"), clone(config, tmp_path):
        pass


def test_the_record_can_say_which_server_answered(staging):
    assert model_server_image("trainyard-staging") == "tensorflow/serving:2.19.1"


PARENT = """
import sys, time
from pathlib import Path
from serving.pod import KubernetesPod
KubernetesPod(sys.argv[1], sys.argv[2], Path(sys.argv[3]), namespace="trainyard-staging").start()
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("up", [True, False], ids=["up", "coming up"])
def test_nothing_remains_when_its_owner_is_killed(staging, config, tmp_path, up):
    command = [sys.executable, "-c", PARENT, config, MODEL, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        eventually(staging.pods)
        if up:
            assert parent.stdout.readline() == b"up\n"
        os.killpg(parent.pid, signal.SIGKILL)
    eventually(lambda: not staging.pods())
