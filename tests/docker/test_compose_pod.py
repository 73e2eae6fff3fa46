"""A serving pod of two containers, brought up and taken down for real."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cli import InfrastructureError
from engine import docker
from serving.client import Client
from serving.pod import ComposePod, PodFailed
from testkit.pods import LABELS, MODEL, picture, write_models

IMAGES = {program: f"trainyard/{program}:latest" for program in ("adapter", "model_server")}
MEMORY_MIB = 2048


@pytest.fixture(scope="module")
def config(images, tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


def compose_pod(config, logs, images=IMAGES, memory=MEMORY_MIB, **more):
    return ComposePod(config, MODEL, logs, images=images, memory_limit_mib=memory, **more)


def project_of(pod):
    return pod._told.project


def remains(project):
    """Whatever the engine has of a pod: containers, volumes, networks."""
    kinds = {"container": ["ls", "--all"], "volume": ["ls"], "network": ["ls"]}
    listed = {kind: docker(kind, *verb, "--quiet", "--filter", f"name={project}") for kind, verb in kinds.items()}
    assert all(found.returncode == 0 for found in listed.values())
    return {kind: found.stdout.split() for kind, found in listed.items() if found.stdout.strip()}


def test_it_answers_the_same_after_a_restart_and_leaves_nothing(config, tmp_path):
    with compose_pod(config, tmp_path) as pod, Client(pod.address) as client:
        assert {"container", "volume"} <= set(remains(project_of(pod)))
        before = client.classify(picture())
        assert set(before.scores) == set(LABELS)
        now, highest = pod.memory_mib()
        assert 100 < now <= highest < MEMORY_MIB
        pod.restart_model_server()
        assert client.classify(picture()).scores == before.scores
    assert remains(project_of(pod)) == {}
    for program in IMAGES:
        assert (tmp_path / f"{program}.log").exists()
    assert "chest-xray" in (tmp_path / "model_server.log").read_text()


def test_crash_of_the_model_server_is_the_models(config, tmp_path):
    with compose_pod(config, tmp_path) as pod:
        container = pod._told.container("model_server")
        pod.check()
        # From inside, as a container's first process does not hand this one on.
        crash = "kill -SEGV $(cat /proc/1/task/1/children)"
        assert docker("exec", container, "sh", "-c", crash).returncode == 0
        docker("wait", container)
        with pytest.raises(PodFailed, match=r"^the model server crashed \(SIGSEGV\)$") as caught:
            pod.check()
    assert caught.value.by_model
    assert remains(project_of(pod)) == {}


@pytest.mark.parametrize("program", IMAGES)
def test_kill_from_outside_blames_no_model(config, tmp_path, program):
    with compose_pod(config, tmp_path) as pod:
        container = pod._told.container(program)
        docker("kill", container)
        docker("wait", container)
        with pytest.raises(PodFailed, match="137") as caught:
            pod.check()
    assert not caught.value.by_model


def test_need_of_more_memory_than_production_has_is_the_models(config, tmp_path):
    pod = compose_pod(config, tmp_path, memory=96)
    with pytest.raises(PodFailed) as caught, pod:
        pass
    assert caught.value.by_model
    assert str(caught.value) == "the model server needed more than its 96 MiB of memory"
    assert remains(project_of(pod)) == {}


def test_model_that_cannot_be_loaded_is_to_blame(images, tmp_path):
    config = write_models(tmp_path / "models")
    (tmp_path / "models" / MODEL / "1" / "variables" / "variables.index").unlink()
    pod = compose_pod(config, tmp_path / "logs", more_flags=("--max_num_load_retries=0",))
    with pytest.raises(PodFailed, match="variables") as caught, pod:
        pass
    assert caught.value.by_model
    assert remains(project_of(pod)) == {}


@pytest.mark.parametrize("program", IMAGES)
def test_missing_image_is_told_and_never_pulled(config, tmp_path, program):
    images = {**IMAGES, program: "trainyard/no-such-image:latest"}
    pod = compose_pod(config, tmp_path, images=images)
    with pytest.raises(InfrastructureError, match="no-such-image:latest is not on this machine"), pod:
        pass
    assert remains(project_of(pod)) == {}


@pytest.fixture
def tensorflow_serving(images, tmp_path):
    """In the place of TensorFlow Serving's image: one whose entry point is not what is started."""
    (tmp_path / "Dockerfile").write_text(
        f'FROM {images["model_server"]}\nENTRYPOINT ["/usr/bin/tf_serving_entrypoint.sh"]\n'
    )
    name = "trainyard-test/tensorflow-serving:latest"
    built = docker("build", "--network", "host", "--tag", name, str(tmp_path))
    assert built.returncode == 0, built.stderr
    yield name
    docker("image", "rm", name)


def test_tensorflow_servings_image_serves_in_the_place_of_ours(config, tensorflow_serving, tmp_path):
    images = {**IMAGES, "model_server": tensorflow_serving}
    with compose_pod(config, tmp_path / "logs", images, original=True) as pod, Client(pod.address) as client:
        assert set(client.classify(picture()).scores) == set(LABELS)
        used = docker("inspect", "--format", "{{.Config.Image}}", pod._told.container("model_server"))
        assert used.stdout.strip() == tensorflow_serving


PARENT = """
import json, sys, time
from pathlib import Path
from serving.pod import ComposePod
config, model, logs, images = sys.argv[1:]
pod = ComposePod(config, model, Path(logs), images=json.loads(images), memory_limit_mib=2048)
print(pod._told.project, flush=True)
pod.start()
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("up", [True, False], ids=["up", "coming up"])
def test_nothing_remains_when_its_owner_is_killed(config, tmp_path, up):
    command = [sys.executable, "-c", PARENT, config, MODEL, str(tmp_path), json.dumps(IMAGES)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True) as parent:
        project = parent.stdout.readline().decode().strip()
        if up:
            assert parent.stdout.readline() == b"up\n"
        eventually(lambda: "container" in remains(project))
        os.killpg(parent.pid, signal.SIGKILL)
    eventually(lambda: remains(project) == {})


def eventually(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
