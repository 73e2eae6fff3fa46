"""The manifest and the code that starts clones say the same; limits and times fit each other."""

import json
import os

import kubernetes_validate
import pytest
import typer

from serving.adapter.__main__ import app
from serving.model_server.flags import parse
from serving.pod import flags
from settings import Settings
from tests.manifests import K8S, ROOT, SERVED, built, containers, of_kind, pod_of, pods, render

SOCKET = "/run/trainyard/model_server.sock"
CONFIG = "$(TRAINYARD_REGISTRY_URI)/$(TRAINYARD_MODEL_NAME)/$(STAGE)/models.config"
MODEL = "$(TRAINYARD_MODEL_NAME)"
# Of infra/k8s/access; test_access.py is about it.
ACCESS = {"--token-file=/run/secrets/adapter-tokens/tokens", "--metrics-port=9102"}
# Seconds that the adapter and gRPC take to close once every request is answered.
CLOSING = 5


@pytest.fixture(params=SERVED)
def pod(request):
    (found,) = pods(request.param)
    return found


def adapter_options(arguments):
    return typer.main.get_command(app).make_context("adapter", list(arguments)).params


def test_flags_are_those_that_a_clone_is_started_with(pod):
    both = containers(pod)
    server = flags.model_server_flags(CONFIG, "/etc/trainyard/batching.config", SOCKET, 30)
    assert sorted(both["model-server"]["args"]) == sorted(server)
    adapter = flags.adapter_flags(SOCKET, MODEL, "0.0.0.0", 8080, 9090)
    # Who may ask is production's alone: a clone is on loopback.
    assert sorted(set(both["adapter"]["args"]) - ACCESS) == sorted(adapter)


def test_a_promotion_waits_longer_than_a_pod_takes_to_look_twice(pod):
    options = parse(containers(pod)["model-server"]["args"])
    looks = options.model_config_file_poll_wait_seconds + options.file_system_poll_wait_seconds
    assert looks <= Settings().serving.rollover_timeout / 2


def test_the_two_programs_take_them(pod):
    assert parse(containers(pod)["model-server"]["args"]).grpc_socket_path == SOCKET
    assert adapter_options(containers(pod)["adapter"]["args"])["backend"] == f"unix:{SOCKET}"


def test_batching_file_is_the_one_that_clones_get(pod):
    (folder,) = {folder for folder in SERVED if pods(folder) == [pod]}
    maps = {found["metadata"]["name"]: found["data"] for found in of_kind(render(folder), "ConfigMap")}
    (name,) = [v["configMap"]["name"] for v in pod["spec"]["volumes"] if v["name"] == "files"]
    original = (ROOT / "serving" / "tensorflow_serving" / flags.BATCHING_FILE).read_text()
    assert maps[name] == {flags.BATCHING_FILE: original}


def test_ports_are_where_the_adapter_listens(pod):
    adapter = containers(pod)["adapter"]
    options = adapter_options(adapter["args"])
    listens = {name: options[f"{name}_port"] for name in ("http", "grpc", "metrics")}
    assert {p["name"]: p["containerPort"] for p in adapter["ports"]} == {n: p for n, p in listens.items() if p}


def test_probes_ask_the_adapter(pod):
    adapter, server = containers(pod)["adapter"], containers(pod)["model-server"]
    asked = {kind: adapter[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {kind: get["path"] for kind, get in asked.items()} == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert {get["port"] for get in asked.values()} == {"http"}
    assert not [key for key in server if key.endswith("Probe")]


def test_memory_is_what_models_are_tested_within(pod):
    limits = {name: c["resources"]["limits"]["memory"] for name, c in containers(pod).items()}
    assert limits == dict.fromkeys(("adapter", "model-server"), f"{Settings().serving.memory_mib:.0f}Mi")


def test_a_pod_that_leaves_has_the_time_to_answer_what_it_has_taken(pod):
    adapter = containers(pod)["adapter"]
    delay, options = adapter["lifecycle"]["preStop"]["sleep"]["seconds"], adapter_options(adapter["args"])
    assert delay + options["drain_timeout"] + CLOSING <= pod["spec"]["terminationGracePeriodSeconds"]
    # Longer than the load balancer takes to find that it is not ready.
    for policy in of_kind(render("overlays/production"), "HealthCheckPolicy"):
        health = policy["spec"]["default"]
        assert health["checkIntervalSec"] * health["unhealthyThreshold"] + health["timeoutSec"] <= delay
    assert options["drain_timeout"] >= options["request_timeout"]


def test_model_server_outlives_the_adapter(pod):
    # A sidecar, which Kubernetes ends after the containers.
    (server,) = pod["spec"]["initContainers"]
    assert (server["name"], server["restartPolicy"]) == ("model-server", "Always")
    assert [c["name"] for c in pod["spec"]["containers"]] == ["adapter"]


def test_the_gateway_waits_longer_than_the_adapter_takes():
    policies = of_kind(render("overlays/production"), "GCPBackendPolicy")
    seconds = {p["spec"]["targetRef"]["name"]: p["spec"]["default"]["timeoutSec"] for p in policies}
    (pod,) = pods("overlays/production")
    options = adapter_options(containers(pod)["adapter"]["args"])
    assert seconds["classifier"] > options["request_timeout"]
    # A stream is as long as its caller has images.
    assert seconds["streams"] >= 3600


def test_grpc_comes_by_the_service_whose_policy_lets_streams_last():
    for route in of_kind(render("overlays/production"), "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            grpc = any("Classifier" in match["path"]["value"] for match in rule["matches"])
            assert [b["name"] for b in rule["backendRefs"]] == ["streams" if grpc else "classifier"]


def test_every_worker_of_a_training_is_named_to_each():
    objects = render("jobs/train-workers")
    (job,), (service,) = of_kind(objects, "Job"), of_kind(objects, "Service")
    spec, template = job["spec"], job["spec"]["template"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"]
    (step,) = template["spec"]["containers"]
    order = [variable["name"] for variable in step["env"]]
    # Kubernetes puts in only what stands before.
    assert order.index("WORKER") < order.index("TF_CONFIG")
    told = json.loads(step["env"][order.index("TF_CONFIG")]["value"].replace("$(WORKER)", "1"))
    name, port = job["metadata"]["name"], step["ports"][0]["containerPort"]
    assert template["spec"]["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert told["cluster"]["worker"] == [
        f"{name}-{index}.{service['metadata']['name']}:{port}" for index in range(spec["completions"])
    ]
    assert told["task"] == {"type": "worker", "index": 1}


@pytest.mark.parametrize("folder", ["jobs/train", "jobs/schedule"])
def test_a_bucket_of_images_can_be_mounted_into_what_trains_and_tests(folder, tmp_path):
    folders = {name: os.path.relpath(K8S / name, tmp_path) for name in (folder, "components/datasets")}
    content = {"resources": [folders[folder]], "components": [folders["components/datasets"]]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(content))
    checked = 0
    for workload in of_kind(built(tmp_path), "Job", "CronJob"):
        for version in ("1.32", "1.37"):
            kubernetes_validate.validate(workload, version, strict=True)
        pod = pod_of(workload)
        if pod["metadata"]["labels"]["app"] == "drift":  # which looks at no dataset
            continue
        assert pod["metadata"]["annotations"]["gke-gcsfuse/volumes"] == "true"
        for container in containers(pod).values():
            assert {"name": "datasets", "mountPath": "/datasets", "readOnly": True} in container["volumeMounts"]
            checked += 1
    assert checked == {"jobs/train": 1, "jobs/schedule": 2}[folder]


def test_node_that_is_taken_away_is_no_failure_of_a_training():
    for folder in ("jobs/train", "jobs/retrain", "jobs/test_model", "jobs/schedule"):
        for workload in of_kind(render(folder), "Job", "CronJob"):
            job = workload["spec"]["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else workload["spec"]
            if job["template"]["metadata"]["labels"]["app"] == "drift":
                continue
            # A failure of the program itself is not tried again here.
            assert job["backoffLimit"] == 0 and job["template"]["spec"]["restartPolicy"] == "Never"
            (rule,) = job["podFailurePolicy"]["rules"]
            assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


@pytest.mark.parametrize(
    "folder", ["jobs/train", "jobs/retrain", "jobs/test_model", "jobs/promote", "jobs/drift", "jobs/gc"]
)
def test_jobs_program_takes_its_arguments(folder):
    import importlib

    programs = {
        "jobs/test_model": "testing",
        "jobs/promote": "promote",
        "jobs/drift": "testing.drift",
        "jobs/gc": "registry",
    }
    module = programs.get(folder, folder.replace("jobs/", "training."))
    command = typer.main.get_command(importlib.import_module(f"{module}.__main__" if "." not in module else module).app)
    (pod,) = pods(folder)
    (container,) = containers(pod).values()
    arguments = list(container["args"])
    # An image whose own program is another one is told which.
    assert container.get("command", ["", "", module])[2] == module
    if hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    command.make_context("job", arguments)
