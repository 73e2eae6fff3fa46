"""On which nodes a pod may come, as a scheduler decides it: the selector, and taints that it tolerates."""

import re
from typing import Any

import pytest
import yaml

from testkit import cluster
from tests.manifests import JOBS, ROOT, SERVED, pods

JENKINS = ROOT / "infra" / "jenkins"
LABEL = "trainyard.dev/pool"


def pools() -> dict[str, dict[str, Any]]:
    """Name -> whether its nodes may be taken away at any time, and its taint, as infra/terraform makes them."""
    text = (ROOT / "infra" / "terraform" / "cluster.tf").read_text()
    spot = {name: value == "true" for name, value in re.findall(r"(\w+) += \{ machine.*?spot += (\w+)", text)}
    free = re.search(
        r'for_each = each\.key == "(\w+)" \? \[\] : \[each\.key\]\n +content \{\n +key +=\s+"([\w./]+)"', text
    )
    assert free and free[2] == LABEL and f'labels = {{ "{LABEL}" = each.key }}' in text
    taint = {"key": LABEL, "effect": "NoSchedule"}
    return {
        name: {"spot": value, "taints": [] if name == free[1] else [{**taint, "value": name}]}
        for name, value in spot.items()
    }


def nodes_of(pod: dict[str, Any]) -> set[str]:
    """The pools on whose nodes a scheduler may put the pod."""
    return cluster.nodes_of(pod, {name: pool["taints"] for name, pool in pools().items()}, LABEL)


def test_pools_are_those_that_terraform_makes() -> None:
    assert {name: pool["spot"] for name, pool in pools().items()} == {
        "serving": False, "jenkins": False, "work": True, "gpu": True,
    }  # fmt: skip


@pytest.mark.parametrize("folder", SERVED)
def test_what_serves_is_on_nodes_that_stay(folder: str) -> None:
    for pod in pods(folder):
        assert nodes_of(pod["spec"]) == {"serving"}


@pytest.mark.parametrize("folder", JOBS)
def test_work_is_on_nodes_that_may_be_taken_away_and_promotions_are_not(folder: str) -> None:
    for pod in pods(folder):
        app = pod["metadata"]["labels"]["app"]
        expected = {"train-gpu": "gpu", "promote": "serving", "drift": "serving", "gc": "serving"}.get(app, "work")
        assert nodes_of(pod["spec"]) == {expected}, app


def test_controller_of_jenkins_stays_and_its_agents_have_nodes() -> None:
    documents = yaml.safe_load_all((JENKINS / "gke" / "controller.yaml").read_text())
    (stateful,) = [found for found in documents if found["kind"] == "StatefulSet"]
    assert nodes_of(stateful["spec"]["template"]["spec"]) == {"jenkins"}
    casc = yaml.safe_load((JENKINS / "controller" / "casc" / "gke.yaml").read_text())
    found = {
        template["name"]: nodes_of(yaml.safe_load(template["yaml"])["spec"])
        for cloud in casc["jenkins"]["clouds"]
        for template in cloud["kubernetes"]["templates"]
    }
    # What changes production is on nodes that stay.
    stays = {"promote": {"serving"}, "rollout": {"serving"}}
    assert found == {"check": {"work"}, "trial": {"work"}, "train": {"work"}, "gpu": {"gpu"}, "build": {"work"}} | stays


def test_pod_without_a_word_about_nodes_would_not_come_on_those_that_are_taken_away() -> None:
    assert nodes_of({}) == {"serving"}
    assert nodes_of({"tolerations": [{"operator": "Exists"}]}) == set(pools())
