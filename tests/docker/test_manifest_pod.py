"""The serving pod run from the manifest's own words: images, arguments, users, limits, probes."""

import json
import os
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

from cli import InfrastructureError
from cli.loopback import open_url
from engine import docker, require_image
from serving.client import Access, Client, Unauthenticated
from serving.pod import free_port
from testkit.pods import LABELS, MODEL, picture, write_models
from tests.docker.conftest import lacks
from tests.manifests import containers, of_kind, pods, render

# What stands in for a registry in Cloud Storage: the folder it is mounted at.
REGISTRY = "/registry"
# In the place of the Secret `adapter-tokens`.
TOKEN = "a-token-of-the-test"
UNITS = {"Mi": "m", "Gi": "g"}


class Kubelet:
    """Runs a pod's containers as Kubernetes would, as far as one engine without a cluster can."""

    def __init__(self, folder, ports):
        self.objects, (self.pod,) = render("overlays/embedded"), pods("overlays/embedded")
        self.id, self.folder, self.ports = uuid.uuid4().hex[:8], folder, ports
        self.started = []

    def variables(self, container):
        maps = {found["metadata"]["name"]: found["data"] for found in of_kind(self.objects, "ConfigMap")}
        values = {}
        for source in container["envFrom"]:
            values |= maps[source["configMapRef"]["name"]]
        return values | {"TRAINYARD_REGISTRY_URI": REGISTRY, "TRAINYARD_MODEL_NAME": MODEL}

    def mounts(self, container):
        volumes = {volume["name"]: volume for volume in self.pod["spec"]["volumes"]}
        maps = {found["metadata"]["name"]: found["data"] for found in of_kind(self.objects, "ConfigMap")}
        for mount in container["volumeMounts"]:
            place = self.folder / mount["name"]
            place.mkdir(exist_ok=True)
            if content := maps.get(volumes[mount["name"]].get("configMap", {}).get("name")):
                for name, text in content.items():
                    (place / name).write_text(text)
            elif "secret" in volumes[mount["name"]]:
                (place / "tokens").write_text(f"{TOKEN}\n")
            else:
                place.chmod(0o777)
            read_only = ",readonly" if mount.get("readOnly") else ""
            yield from ("--mount", f"type=bind,source={place},target={mount['mountPath']}{read_only}")

    def start(self, name):
        container = containers(self.pod)[name]
        around, limits = self.pod["spec"]["securityContext"], container["resources"]["limits"]
        variables = self.variables(container)
        arguments = container["args"]
        for variable, value in variables.items():
            arguments = [argument.replace(f"$({variable})", value) for argument in arguments]
        # The engine may have no network but the machine's, whose ports others use.
        for inside, port in self.ports.items():
            arguments = [argument.replace(f"-port={inside}", f"-port={port}") for argument in arguments]
        memory = limits["memory"][:-2] + UNITS[limits["memory"][-2:]]
        options = ["--network", "host", "--user", f"{around['runAsUser']}:{around['runAsGroup']}", "--read-only"]
        options += [
            "--cap-drop",
            *container["securityContext"]["capabilities"]["drop"],
            "--security-opt",
            "no-new-privileges",
        ]
        options += [
            "--memory",
            memory,
            "--memory-swap",
            memory,
            "--cpus",
            str(min(int(limits["cpu"]), os.cpu_count() or 1)),
            *self.mounts(container),
        ]
        options += [word for name_, value in variables.items() for word in ("--env", f"{name_}={value}")]
        if name == "model-server":
            options += ["--mount", f"type=bind,source={self.folder / 'registry'},target={REGISTRY},readonly"]
        # What push-images would have put in the tag's place.
        image = container["image"].rpartition(":")[0] + ":latest"
        command = container.get("command", [])
        assert not command, "TensorFlow Serving's own program is not to be had here"
        made = f"trainyard-test-{self.id}-{name}"
        ran = docker("run", "--detach", "--name", made, *options, image, *arguments)
        self.started.append(made)
        assert ran.returncode == 0, ran.stderr
        return made

    def probe(self, kind):
        """Whether a probe of the adapter succeeds, asked as the kubelet does."""
        adapter = containers(self.pod)["adapter"]
        get = adapter[kind]["httpGet"]
        (port,) = [p["containerPort"] for p in adapter["ports"] if p["name"] == get["port"]]
        try:
            with open_url(f"http://127.0.0.1:{self.ports[port]}{get['path']}", timeout=3) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def kubelet(engine, tmp_path_factory):
    for program in ("adapter", "model_server"):
        try:
            require_image(f"trainyard/{program}:latest")
        except InfrastructureError as error:
            lacks(str(error))
    folder = tmp_path_factory.mktemp("pod")
    models = folder / "registry" / MODEL / "production"
    config = write_models(models)
    # As a promotion would have written it: paths as the model server sees them.
    text = Path(config).read_text().replace(str(models), f"{REGISTRY}/{MODEL}/production")
    (models / "models.config").write_text(text)
    for path in (folder, *folder.parents):
        if path.name.startswith("pytest"):
            path.chmod(0o755)
    running = Kubelet(folder, {port: free_port() for port in (8080, 9090, 9102)})
    yield running
    if running.started:
        docker("rm", "--force", "--volumes", *running.started)


def eventually(condition, what, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.2)


def test_pod_answers_grpc_and_rest_through_its_probes_and_leaves_cleanly(kubelet):
    adapter = kubelet.start("adapter")
    said = lambda: "\n".join(docker("logs", name).stdout + docker("logs", name).stderr for name in kubelet.started)  # noqa: E731
    eventually(lambda: kubelet.probe("startupProbe"), said)
    # It runs, and no model server is there yet.
    assert kubelet.probe("livenessProbe")
    assert not kubelet.probe("readinessProbe")
    server = kubelet.start("model-server")
    eventually(lambda: kubelet.probe("readinessProbe"), said)
    with Client(f"127.0.0.1:{kubelet.ports[9090]}") as nobody, pytest.raises(Unauthenticated):
        nobody.classify(picture())
    with Client(f"127.0.0.1:{kubelet.ports[9090]}", access=Access(token=TOKEN)) as client:
        answer = client.classify(picture())
    assert set(answer.scores) == set(LABELS)
    url = f"http://127.0.0.1:{kubelet.ports[8080]}/v1/classify"
    request = urllib.request.Request(url, picture(), {"Content-Type": "image/png", "Authorization": f"Bearer {TOKEN}"})
    with open_url(request, timeout=10) as rest:
        assert json.load(rest)["scores"] == pytest.approx(answer.scores, abs=1e-6)
    with open_url(f"http://127.0.0.1:{kubelet.ports[9102]}/metrics", timeout=10) as metrics:
        assert b"trainyard_requests_total" in metrics.read()
    for name in (adapter, server):
        assert docker("stop", "--time", "45", name).returncode == 0
        assert docker("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0", said()
    assert not kubelet.probe("livenessProbe")
