"""What wants tokens or TLS in the cluster, and what asks it: components that an installation adds."""

import json
import os
import subprocess

import kubernetes_validate
import pytest
import typer
import yaml

from serving.adapter.__main__ import app
from tests.manifests import K8S, containers, of_kind, pod_of, render, require_kubectl

VERSIONS = ("1.32", "1.37")
METRICS = 9102


def rendered(tmp_path, resource, *components):
    """`resource` with these components, as an overlay of somebody's."""
    require_kubectl()
    path = {name: os.path.relpath(K8S / name, tmp_path) for name in (resource, *components)}
    content = {"resources": [path[resource]], "components": [path[name] for name in components]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(content))
    done = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def adapter_of(objects):
    (deployment,) = of_kind(objects, "Deployment")
    for version in VERSIONS:
        kubernetes_validate.validate(deployment, version, strict=True)
    pod = pod_of(deployment)
    adapter = containers(pod)["adapter"]
    return pod, adapter, typer.main.get_command(app).make_context("adapter", list(adapter["args"])).params


def secret_behind(pod, container, path):
    """The Secret whose folder `path` lies in, read-only."""
    (mount,) = [m for m in container["volumeMounts"] if str(path).startswith(m["mountPath"] + "/")]
    (volume,) = [v for v in pod["spec"]["volumes"] if v["name"] == mount["name"]]
    # A file of a subPath would never change.
    assert mount["readOnly"] is True and "subPath" not in mount
    return volume["secret"]["secretName"]


def test_nothing_is_wanted_unless_it_is_asked_for():
    _, adapter, options = adapter_of(render("overlays/production"))
    assert (options["token_file"], options["tls_certificate"], options["metrics_port"]) == (None, None, None)
    assert {port["name"] for port in adapter["ports"]} == {"http", "grpc"}


@pytest.mark.parametrize("overlay", ["overlays/production", "overlays/embedded"])
def test_tokens_come_from_a_secret_and_metrics_have_a_port_that_is_scraped(overlay, tmp_path):
    objects = rendered(tmp_path, overlay, "components/tokens")
    pod, adapter, options = adapter_of(objects)
    assert secret_behind(pod, adapter, options["token_file"]) == "adapter-tokens"
    assert options["metrics_port"] == METRICS
    assert {port["name"]: port["containerPort"] for port in adapter["ports"]}["metrics"] == METRICS
    (monitoring,) = of_kind(objects, "PodMonitoring")
    assert [endpoint["port"] for endpoint in monitoring["spec"]["endpoints"]] == ["metrics"]
    (policy,) = [p for p in of_kind(objects, "NetworkPolicy") if p["metadata"]["name"] == "serving"]
    (let_in,) = [rule["from"] for rule in policy["spec"]["ingress"] if {"port": METRICS} in rule["ports"]]
    names = {one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for one in let_in}
    assert names == {"gmp-system", "trainyard-jobs"}


def test_traces_have_an_address_and_a_way_to_it_and_neither_unless_they_are_asked_for(tmp_path):
    def asked(objects):
        _, adapter, _ = adapter_of(objects)
        (policy,) = [p for p in of_kind(objects, "NetworkPolicy") if p["metadata"]["name"] == "serving"]
        for version in VERSIONS:
            kubernetes_validate.validate(policy, version, strict=True)
        address = {one["name"]: one.get("value") for one in adapter.get("env", [])}.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        ways = [
            (
                peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
                {p["port"] for p in rule["ports"]},
            )
            for rule in policy["spec"]["egress"]
            for peer in rule["to"]
            if {"port": 4318} in rule["ports"]
        ]
        return address, ways

    assert asked(render("overlays/production")) == (None, [])
    address, ((namespace, ports),) = asked(rendered(tmp_path, "overlays/production", "components/traces"))
    assert address.split(":")[1].split(".")[1] == namespace
    assert int(address.rpartition(":")[2]) in ports


def test_with_tls_probes_health_checks_and_the_gateway_speak_it(tmp_path):
    objects = rendered(tmp_path, "overlays/production", "components/tokens", "components/tls")
    pod, adapter, options = adapter_of(objects)
    for flag in ("tls_certificate", "tls_key"):
        assert secret_behind(pod, adapter, options[flag]) == "adapter-tls"
    probes = [adapter[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert {probe["scheme"] for probe in probes} == {"HTTPS"}
    checks = [policy["spec"]["default"]["config"] for policy in of_kind(objects, "HealthCheckPolicy")]
    assert checks and {check["type"] for check in checks} == {"HTTPS"}
    assert all(check["httpsHealthCheck"]["requestPath"] == "/readyz" for check in checks)
    spoken = {
        (service["metadata"]["name"], port["name"]): port.get("appProtocol")
        for service in of_kind(objects, "Service")
        if service["metadata"]["name"] in ("classifier", "streams")
        for port in service["spec"]["ports"]
    }
    assert spoken == {("classifier", "http"): "HTTPS", ("classifier", "grpc"): "HTTP2", ("streams", "grpc"): "HTTP2"}


def test_promote_has_the_token_and_drift_asks_where_none_is_wanted(tmp_path):
    (job,) = of_kind(rendered(tmp_path, "jobs/promote", "components/adapter-client"), "Job")
    pod = pod_of(job)
    step = containers(pod)["step"]
    variables = {one["name"]: one.get("value") for one in step["env"]}
    assert secret_behind(pod, step, variables["TRAINYARD_SERVING_TOKEN_FILE"]) == "adapter-client"
    for folder in ("jobs/drift", "jobs/schedule"):
        found = [
            one
            for workload in of_kind(rendered(tmp_path, folder, "components/adapter-client"), "Job", "CronJob")
            for container in containers(pod_of(workload)).values()
            for one in container["env"]
            if one["name"] in ("TRAINYARD_DRIFT_METRICS", "TRAINYARD_SERVING_TOKEN_FILE")
        ]
        assert [one["name"] for one in found] == ["TRAINYARD_DRIFT_METRICS"]
        # Without TLS, so no token goes there.
        assert found[0]["value"].endswith(f":{METRICS}")
