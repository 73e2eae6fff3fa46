"""The images as they run in production: no root, nothing to write to, no network but a pod's own loopback."""

import json
import time
import uuid

import pytest

from engine import docker
from testkit.pods import MODEL, write_models
from tests.docker.conftest import PROGRAMS

CLOSED = ["--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
LABELS_FIRST = "--allow_version_labels_for_unavailable_models"
MEGABYTE = 1_000_000


def inspected(image):
    return json.loads(docker("image", "inspect", "--format", "{{json .Config}}", image).stdout)


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_starts_on_a_read_only_root(program, images):
    shown = docker("run", "--rm", *CLOSED, images[program], "--help")
    assert shown.returncode == 0, shown.stderr
    assert "usage:" in shown.stdout.lower()


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_is_not_root_and_owns_nothing_of_itself(program, images):
    # On a root that could be written to, or it would prove nothing.
    writable = "import os; print(os.getuid(), os.getgid(), [p for p in ('/', '/app', '/etc') if os.access(p, os.W_OK)])"
    ran = docker("run", "--rm", "--network", "none", "--entrypoint", "/app/bin/python", images[program], "-c", writable)
    assert ran.stdout.strip() == "10001 10001 []", ran.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_image_says_what_it_was_built_from(program, images):
    config = inspected(images[program])
    assert config["Labels"]["org.opencontainers.image.title"] == f"trainyard/{program}"
    commit = config["Labels"]["org.opencontainers.image.revision"]
    assert len(commit.removesuffix("-dirty")) == len(config["Labels"]["trainyard.lock"]) == 40
    # A record of training keeps it.
    assert f"TRAINYARD_COMMIT={commit}" in config["Env"]


@pytest.mark.parametrize("program", ["train", "retrain", "test_model", "promote"])
def test_job_has_no_health_but_its_exit_code(program, images):
    assert inspected(images[program])["Healthcheck"] == {"Test": ["NONE"]}


def test_adapter_adds_at_most_80_megabytes_to_its_base(images):
    history = docker("history", "--human=false", "--no-trunc", "--format", "{{json .}}", images["adapter"]).stdout
    layers = [layer for layer in map(json.loads, history.splitlines()) if int(layer["Size"])]
    own = layers[:2]  # the newest first: our code, then what it needs from PyPI
    assert all("COPY" in layer["CreatedBy"] for layer in own)
    assert sum(int(layer["Size"]) for layer in own) <= 80 * MEGABYTE
    assert int(own[0]["Size"]) <= 1.5 * MEGABYTE


def test_adapter_holds_neither_tensorflow_nor_numpy(images):
    code = "from importlib.util import find_spec; print([n for n in ('numpy', 'tensorflow', 'grpc') if find_spec(n)])"
    ran = docker("run", "--rm", *CLOSED, "--entrypoint", "/app/bin/python", images["adapter"], "-c", code)
    assert ran.stdout.strip() == "['grpc']", ran.stderr


def test_images_of_one_resolve_share_the_layer_of_their_dependencies(images):
    def layers(program):
        return json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", images[program]).stdout)

    shared = {tuple(layers(program)[:-1]) for program in ("train", "retrain", "test_model")}
    assert len(shared) == 1
    # Above its own code the model server has the names by which it is started.
    assert tuple(layers("model_server")[:-2]) in shared
    assert len({layers(program)[-1] for program in PROGRAMS}) == len(PROGRAMS)


@pytest.fixture
def start(images):
    """start(program, options, arguments): the name of a container that runs in the background."""
    started = []

    def run(program, options, arguments):
        name = f"trainyard-test-{uuid.uuid4().hex[:8]}"
        started.append(name)
        # Looked at every second and from the start: the images' own pace is for a production that has time.
        health = ["--health-interval", "1s", "--health-start-period", "1ms"]
        ran = docker("run", "--detach", "--name", name, *health, *options, images[program], *arguments)
        assert ran.returncode == 0, ran.stderr
        return name

    yield run
    if started:
        docker("rm", "--force", "--volumes", *started)


def becomes(name, health, seconds=60):
    end = time.monotonic() + seconds
    while (now := docker("inspect", "--format", "{{.State.Health.Status}}", name).stdout.strip()) != health:
        assert time.monotonic() < end, f"{name} is {now}: {docker('logs', name)}"
        time.sleep(0.2)


def test_pod_is_healthy_once_it_serves_and_ends_when_told(start, tmp_path):
    config = write_models(tmp_path)
    tmp_path.chmod(0o755)
    mount = ["--mount", f"type=bind,source={tmp_path},target={tmp_path},readonly"]
    server = start("model_server", [*CLOSED, *mount], [f"--model_config_file={config}", LABELS_FIRST])
    # As in a Kubernetes pod: the two share a loopback, and there is no other network.
    beside = ["--network", f"container:{server}", *CLOSED[2:]]
    adapter = start("adapter", beside, ["--backend", "127.0.0.1:8500", "--model", MODEL])
    becomes(server, "healthy")
    becomes(adapter, "healthy")
    for name in (adapter, server):
        assert docker("stop", "--time", "30", name).returncode == 0
        assert docker("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0", docker("logs", name)


def test_the_model_server_starts_as_tensorflow_servings_image_does(start, tmp_path):
    write_models(tmp_path)
    tmp_path.chmod(0o755)
    mount = ["--mount", f"type=bind,source={tmp_path / MODEL},target=/models/{MODEL},readonly"]
    by_name = start("model_server", [*CLOSED, *mount, "--env", f"MODEL_NAME={MODEL}"], [])
    program = ["--entrypoint", "/usr/bin/tensorflow_model_server"]
    flags = ["--port=8500", "--rest_api_port=8501", f"--model_name={MODEL}", f"--model_base_path=/models/{MODEL}"]
    as_a_command = start("model_server", [*CLOSED, *mount, *program], flags)
    elsewhere = start("model_server", [*CLOSED, *mount, "--env", f"MODEL_NAME={MODEL}"], ["--rest_api_port=8601"])
    for name, port in ((by_name, 8501), (as_a_command, 8501), (elsewhere, 8601)):
        becomes(name, "healthy")
        # An address that is not the one it would listen on by itself.
        ask = (
            f"import urllib.request as u; print(u.urlopen('http://127.0.0.2:{port}/v1/models/{MODEL}').read().decode())"
        )
        answer = docker("exec", name, "/app/bin/python", "-c", ask)
        assert '"AVAILABLE"' in answer.stdout, (answer.stderr, docker("logs", name).stderr)


def test_adapter_without_a_model_server_is_not_healthy(start):
    becomes(start("adapter", CLOSED, ["--backend", "127.0.0.1:8500", "--model", MODEL]), "unhealthy")
