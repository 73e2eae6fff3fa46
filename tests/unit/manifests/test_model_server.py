"""The manifest of the model server by itself: its words are the original's, the image alone is another."""

import kubernetes_validate
import pytest

from serving.model_server import flags
from tests.manifests import of_kind, pod_of, render
from tests.unit.manifests.test_schemas import VERSIONS

FOLDER = "overlays/model-server"


def server():
    (deployment,) = of_kind(render(FOLDER), "Deployment")
    return deployment, pod_of(deployment)["spec"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid_and_has_no_unknown_field(version):
    assert render(FOLDER)
    for found in render(FOLDER):
        kubernetes_validate.validate(found, version, strict=True)


def test_the_program_takes_its_flags_which_are_the_originals():
    _, pod = server()
    (container,) = pod["containers"]
    parsed = flags.parse(container["args"])
    assert flags.without_effect(parsed) == []
    assert not [argument for argument in container["args"] if argument.startswith("--host")]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": parsed.port, "rest": parsed.rest_api_port}
    assert container["readinessProbe"]["httpGet"]["path"] == f"/v1/models/{parsed.model_name}"
    assert "command" not in container and container["image"].startswith("trainyard/model_server")


def test_its_service_its_volume_and_its_account_are_there():
    deployment, pod = server()
    (service,) = of_kind(render(FOLDER), "Service")
    (claim,) = of_kind(render(FOLDER), "PersistentVolumeClaim")
    (account,) = of_kind(render(FOLDER), "ServiceAccount")
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert {port["targetPort"] for port in service["spec"]["ports"]} == {"grpc", "rest"}
    assert claim["metadata"]["name"] in {v.get("persistentVolumeClaim", {}).get("claimName") for v in pod["volumes"]}
    assert pod["serviceAccountName"] == account["metadata"]["name"]


def test_it_runs_with_as_little_as_the_other_pods():
    _, pod = server()
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_only_its_own_namespace_may_ask_it():
    (policy,) = of_kind(render(FOLDER), "NetworkPolicy")
    deployment, pod = server()
    assert policy["spec"]["podSelector"] == deployment["spec"]["selector"]
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {}}] and policy["spec"]["egress"] == []
    assert {port["port"] for port in rule["ports"]} == {p["containerPort"] for p in pod["containers"][0]["ports"]}
