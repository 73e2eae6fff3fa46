"""Every manifest is what Kubernetes takes, in three of its versions, and refers to nothing that is not there."""

import kubernetes_validate
import pytest

from tests.manifests import ALL, NAMESPACES, SERVED, containers, of_kind, pod_of, render

# The oldest that Google still offers, a newer one, and the newest whose schemas are at hand.
VERSIONS = ("1.32", "1.35", "1.37")
# Not Kubernetes' own: the gateway's keys are test_google_keys.py's; of the last two no schema was found.
ADDED = {"Gateway", "HTTPRoute", "HealthCheckPolicy", "GCPBackendPolicy", "PodMonitoring", "Rules"}

# As an installation's public key is in no repository of ours; the page tells how.
MADE_BY_HAND = "signing-public"


@pytest.mark.parametrize("folder", ALL)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid_and_has_no_unknown_field(folder, version):
    own = [found for found in render(folder) if found["kind"] not in ADDED]
    assert own
    for found in own:
        kubernetes_validate.validate(found, version, strict=True)


def test_unknown_field_would_be_found():
    (deployment,) = of_kind(render("overlays/production"), "Deployment")
    wrong = {**deployment, "spec": {**deployment["spec"], "replcas": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("folder", ALL)
def test_no_object_is_there_twice(folder):
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in render(folder)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("folder", ALL)
def test_what_a_pod_refers_to_is_there(folder):
    objects = render(folder)
    accounts = {o["metadata"]["name"] for f in (folder, *NAMESPACES) for o in of_kind(render(f), "ServiceAccount")}
    maps = {o["metadata"]["name"] for o in of_kind(objects, "ConfigMap")}
    for workload in of_kind(objects, "Deployment", "Job", "CronJob"):
        pod = pod_of(workload)
        assert pod["spec"]["serviceAccountName"] in accounts
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        wanted = {v["configMap"]["name"] for v in volumes.values() if "configMap" in v}
        for container in containers(pod).values():
            wanted |= {source["configMapRef"]["name"] for source in container["envFrom"]}
            assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)
        assert wanted - {MADE_BY_HAND} <= maps


@pytest.mark.parametrize("folder", SERVED)
def test_services_and_routes_lead_to_the_pod(folder):
    objects = render(folder)
    (deployment,) = of_kind(objects, "Deployment")
    pod = pod_of(deployment)
    ports = {port["name"] for c in pod["spec"]["containers"] for port in c.get("ports", [])}
    services = {service["metadata"]["name"]: service for service in of_kind(objects, "Service")}
    for service in services.values():
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    gateways = {g["metadata"]["name"] for g in of_kind(render("overlays/production"), "Gateway")}
    for route in of_kind(objects, "HTTPRoute"):
        assert route["spec"]["parentRefs"][0]["name"] in gateways
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                assert backend["port"] in {port["port"] for port in services[backend["name"]]["spec"]["ports"]}
    for policy in of_kind(objects, "HealthCheckPolicy", "GCPBackendPolicy"):
        assert policy["spec"]["targetRef"]["name"] in services
    (scaler,) = of_kind(objects, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    measured = {metric["containerResource"]["container"] for metric in scaler["spec"]["metrics"]}
    assert measured == set(containers(pod))
    (budget,) = of_kind(objects, "PodDisruptionBudget")
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]
