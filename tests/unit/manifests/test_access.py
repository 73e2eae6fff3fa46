"""Who may ask in the cluster (infra/k8s/access), and what asks: tokens by default, TLS and traces for who adds them."""

import json
import os
import shutil
from functools import cache

import kubernetes_validate
import pytest
import typer
import yaml

from serving.adapter.__main__ import app
from tests.manifests import K8S, MODELS, ROOT, built, containers, of_kind, pod_of, render, require_kubectl, written

VERSIONS = ("1.32", "1.37")
METRICS = 9102


def rendered(tmp_path, resource, *components):
    """`resource` with these components, as an overlay of somebody's."""
    path = {name: os.path.relpath(K8S / name, tmp_path) for name in (resource, *components)}
    content = {"resources": [path[resource]], "components": [path[name] for name in components]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(content))
    return built(tmp_path)


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


def installed(tmp_path, components, change=lambda folder: None):
    """Renders folders of a copy of the manifests that has these components in infra/k8s/access."""
    require_kubectl()
    for part in ("infra/k8s", "serving/tensorflow_serving"):
        shutil.copytree(ROOT / part, tmp_path / part)
    file = tmp_path / "infra/k8s/access/kustomization.yaml"
    file.write_text(json.dumps({**yaml.safe_load(file.read_text()), "components": components}))
    change(tmp_path / "infra/k8s")

    return cache(lambda folder: built(tmp_path / "infra/k8s" / folder))


ASKED = ("overlays/production", *MODELS, "jobs/promote", "jobs/drift", "jobs/schedule", *(f"{m}/jobs" for m in MODELS))


def wants_or_shows(objects):
    """The lines in which a manifest speaks of tokens, or of the port that goes with them."""
    words = ("adapter-tokens", "token-file", "TOKEN_FILE", "adapter-client", str(METRICS))
    return [line for line in written(objects).splitlines() if any(word in line for word in words)]


def test_without_the_component_nothing_is_wanted_and_nothing_shown(tmp_path):
    """The switch back to what was before: one line of infra/k8s/access, for adapters and all who ask them."""
    installation = installed(tmp_path, [])
    for folder in ASKED:
        assert wants_or_shows(installation(folder)) == [], folder
        assert wants_or_shows(render(folder)), folder
    _, adapter, options = adapter_of(installation("overlays/production"))
    assert (options["token_file"], options["tls_certificate"], options["metrics_port"]) == (None, None, None)
    assert {port["name"] for port in adapter["ports"]} == {"http", "grpc"}
    (monitoring,) = of_kind(installation("overlays/production"), "PodMonitoring")
    assert [endpoint["port"] for endpoint in monitoring["spec"]["endpoints"]] == ["http"]


def faults_of_access(render):
    """What does not go together, of who wants a token, who shows one, and who is let in at the port of /metrics."""
    found = []
    production = render("overlays/production")
    for folder in ("overlays/production", *MODELS):
        pod, adapter, options = adapter_of(render(folder))
        if not options["token_file"] or secret_behind(pod, adapter, options["token_file"]) != "adapter-tokens":
            found.append(f"{folder}: adapters answer everybody")
        if "optional" in str([volume.get("secret") for volume in pod["spec"]["volumes"]]):
            found.append(f"{folder}: without the Secret a pod would start")
        ports = {port["name"]: port["containerPort"] for port in adapter["ports"]}
        (endpoint,) = of_kind(production, "PodMonitoring")[0]["spec"]["endpoints"]
        if options["metrics_port"] is None or ports.get(endpoint["port"]) != options["metrics_port"]:
            found.append(f"{folder}: Prometheus asks a port that tells nothing")
        probes = [adapter[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")]
        if {(probe["port"], probe["path"]) for probe in probes} != {("http", "/livez"), ("http", "/readyz")}:
            found.append(f"{folder}: a probe asks what wants a token")
    (policy,) = [p for p in of_kind(production, "NetworkPolicy") if p["metadata"]["name"] == "serving"]
    let_in = {
        one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for rule in policy["spec"]["ingress"]
        if {"port": METRICS} in rule["ports"]
        for one in rule["from"]
    }
    if let_in != {"gmp-system", "trainyard-jobs"}:
        found.append("who may read /metrics is not Prometheus and drift")
    for folder in ASKED:
        for workload in of_kind(render(folder), "Job", "CronJob"):
            pod = pod_of(workload)
            app, variables = pod["metadata"]["labels"]["app"], {}
            for container in containers(pod).values():
                variables |= {one["name"]: one.get("value", "") for one in container["env"]}
            if app == "promote":
                (step,) = containers(pod).values()
                file = variables.get("TRAINYARD_SERVING_TOKEN_FILE")
                if not file or secret_behind(pod, step, file) != "adapter-client":
                    found.append(f"{folder}: promote shows no token")
            elif "TRAINYARD_SERVING_TOKEN_FILE" in variables:
                found.append(f"{folder}: {app} has the token, and needs none")
            if app == "drift" and not variables["TRAINYARD_DRIFT_METRICS"].endswith(f":{METRICS}"):
                found.append(f"{folder}: drift asks a port that tells nothing")
    return found


def test_production_wants_tokens_and_all_that_asks_it_goes_on():
    assert faults_of_access(render) == []


def edited(name, old, new):
    def change(folder):
        text = (folder / name).read_text()
        assert old in text, name
        (folder / name).write_text(text.replace(old, new))

    return change


TOKENS, CLIENT = "../components/tokens", "../components/adapter-client"
# What is done to a copy, and what is found then.
FAULTS = {
    "no tokens": ([CLIENT], lambda folder: None, "adapters answer everybody"),
    "a further model is open": (
        [TOKENS, CLIENT],
        edited("models/shared/kustomization.yaml", "  - ../../access\n", ""),
        "models/digits: adapters answer everybody",
    ),
    "no clients": ([TOKENS], lambda folder: None, "promote shows no token"),
    "drift as before": (
        [TOKENS, CLIENT],
        edited("jobs/drift/kustomization.yaml", "../../access, ", ""),
        "jobs/drift: drift asks a port",
    ),
    "scraped where it was": (
        [TOKENS, CLIENT],
        edited(
            "components/tokens/kustomization.yaml", "endpoints/0/port, value: metrics", "endpoints/0/port, value: http"
        ),
        "Prometheus asks a port that tells nothing",
    ),
    "port is shut": (
        [TOKENS, CLIENT],
        edited("components/tokens/kustomization.yaml", "ports: [{port: 9102}]", "ports: [{port: 9101}]"),
        "who may read /metrics",
    ),
    "pods start open": (
        [TOKENS, CLIENT],
        edited(
            "components/tokens/kustomization.yaml",
            "secretName: adapter-tokens,",
            "secretName: adapter-tokens, optional: true,",
        ),
        "without the Secret a pod would start",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_go_together_is_found(fault, tmp_path):
    components, change, said = FAULTS[fault]
    found = faults_of_access(installed(tmp_path, components, change))
    assert any(said in one for one in found), found


@pytest.mark.parametrize("folder", ["overlays/production", "jobs/promote", *MODELS])
def test_pages_say_how_the_secrets_are_made_that_pods_wait_for(folder):
    """An installation that has none goes on with its old pods, and the way out is on these pages."""
    wanted = {
        volume["secret"]["secretName"]
        for workload in of_kind(render(folder), "Deployment", "Job")
        for volume in pod_of(workload)["spec"]["volumes"]
        if "secret" in volume
    }
    assert wanted in ({"adapter-tokens"}, {"adapter-client"})
    (deployments,) = [of_kind(render("overlays/production"), "Deployment")]
    # Not one old pod leaves before a new one is ready.
    assert [d["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] for d in deployments] == [0]
    for page in ("gke", "access", "secrets"):
        text = (ROOT / "docs" / "operations" / f"{page}.md").read_text()
        for name in wanted:
            assert f"create secret generic {name}" in text, (page, name)


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
    objects = installed(tmp_path, [TOKENS, "../components/tls"])("overlays/production")
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
