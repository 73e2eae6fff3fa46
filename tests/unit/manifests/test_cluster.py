"""All manifests together in one cluster, which answers what none of them tells alone (testkit/cluster.py)."""

import copy
import re
from functools import cache
from typing import Any

import pytest
import typer
import yaml

from serving.adapter.__main__ import app
from serving.adapter.connection import ConnectionLimits
from testkit.cluster import LOAD_BALANCERS, Cluster, Peer, Refused, leaving, reaches, waits_for
from tests.manifests import (
    JOBS,
    MODELS,
    NAMESPACES,
    OVERLAYS,
    ROOT,
    SERVED,
    built,
    of_kind,
    parsed,
    pod_of,
    pods,
    render,
    written,
)

JENKINS = ROOT / "infra" / "jenkins"
Objects = list[dict[str, Any]]
# In which an installation applies them (docs/operations/gke.md, jenkins.md).
ORDER = (*NAMESPACES, *OVERLAYS, *MODELS, *JOBS)
# Seconds that Google's load balancers keep a connection without traffic; the page on their timeouts says so.
BALANCER_IDLE = 600


@cache
def jenkins() -> Objects:
    return list(built(JENKINS / "gke"))


def agents() -> dict[str, tuple[str, dict[str, Any]]]:
    """Label of Jenkins' -> namespace and pod."""
    casc = yaml.safe_load((JENKINS / "controller" / "casc" / "gke.yaml").read_text())
    clouds = [cloud["kubernetes"] for cloud in casc["jenkins"]["clouds"]]
    return {t["label"]: (c["namespace"], yaml.safe_load(t["yaml"])["spec"]) for c in clouds for t in c["templates"]}


def everything() -> Objects:
    return copy.deepcopy([*(found for folder in ORDER for found in render(folder)), *jenkins()])


# What collides.


def test_all_of_it_is_applied_in_the_documented_order_and_again() -> None:
    cluster = Cluster()
    for _ in range(2):
        for folder in ORDER:
            cluster.apply(render(folder))
        cluster.apply(jenkins())
    assert len(cluster.objects) > 100


def test_what_would_be_refused_is() -> None:
    def refused(*steps: tuple[str, Objects]) -> str:
        cluster = Cluster()
        for folder in (*NAMESPACES, "overlays/production"):
            cluster.apply(render(folder))
        with pytest.raises(Refused) as raised:
            for how, objects in steps:
                getattr(cluster, how)(objects)
        return str(raised.value)

    train, retrain = list(render("jobs/train")), list(render("jobs/retrain"))
    assert "ConfigMap/settings-" in refused(("create", train), ("create", retrain))
    changed = copy.deepcopy(train)
    pod_of(of_kind(tuple(changed), "Job")[0])["spec"]["terminationGracePeriodSeconds"] = 1
    assert "Job/train: spec.template: field is immutable" in refused(("apply", train), ("apply", changed))
    assert 'namespaces "trainyard-staging" not found' in refused(
        ("apply", [found for found in render("overlays/staging") if found["kind"] != "Namespace"])
    )
    # A role of Jenkins' is in production's namespace.
    cluster = Cluster()
    cluster.apply(render("jobs/promotion"))
    with pytest.raises(Refused, match='namespaces "trainyard" not found'):
        cluster.apply(jenkins())


# What pods wait for.


def hand_made(objects: Objects) -> set[str]:
    """namespace/thing of all that some pod waits for when everything is applied."""
    cluster = Cluster()
    cluster.apply(objects)
    workloads = [o for o in objects if o["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob")]
    waiting = [(o["metadata"]["namespace"], pod_of(o)["spec"]) for o in workloads] + list(agents().values())
    # An agent's account is named beside its pod.
    return {f"{space}/{thing}" for space, pod in waiting for thing in waits_for(cluster, pod, space)}


WAITED_FOR = {
    "trainyard/Secret adapter-tokens",
    "trainyard-promotion/Secret adapter-client",
    "trainyard-promotion/ConfigMap signing-public",
    "trainyard-jobs/Secret signing",
    "trainyard-jobs/ConfigMap signing-public",
    "trainyard-ci/Secret jenkins-secrets",
    "trainyard-train/Secret trainyard-signing",
    "trainyard-release/Secret images-signing",
    "trainyard-release/ConfigMap images-public",
    "trainyard-release/Secret adapter-client",
}


def test_pods_wait_for_what_the_pages_tell_to_make_and_for_nothing_else() -> None:
    assert hand_made(everything()) == WAITED_FOR
    pages = "\n".join((ROOT / "docs" / "operations" / f"{name}.md").read_text() for name in ("gke", "jenkins"))
    for one in WAITED_FOR:
        space, kind, name = re.split("[/ ]", one)
        made = f"-n {space} create {'secret generic' if kind == 'Secret' else 'configmap'} {name}"
        assert made in pages, one


def test_misspelt_name_and_missing_key_would_be_found() -> None:
    text = written(everything())
    for old, new, found in (
        ("secretName: adapter-client", "secretName: adapter-clients", "trainyard-promotion/Secret adapter-clients"),
        ("name: jenkins-check\n", "name: jenkins-chek\n", "trainyard-ci/Secret jenkins-check"),
        ("key: token\n", "key: tokn\n", "trainyard-ci/Secret jenkins-check: its key tokn"),
    ):
        assert old in text, old
        planted = list(parsed(text.replace(old, new)))
        if new.startswith("name"):  # of the Secret itself, not of who mounts it
            planted = everything()
            planted.remove(
                next(o for o in planted if (o["kind"], o["metadata"]["name"]) == ("Secret", "jenkins-check"))
            )
        assert found in hand_made(planted)


# Who reaches whom.

BALANCERS = [Peer(address=block.partition("/")[0]) for block in LOAD_BALANCERS]
STRANGER = Peer(address="203.0.113.7")
APIS = Peer(address="199.36.153.8")
CONTROLLER = Peer("trainyard-ci", {"app": "jenkins"})


def job(namespace: str, app: str, **more: str) -> Peer:
    return Peer(namespace, {"app": app, **more})


def agent(namespace: str) -> Peer:
    return Peer(namespace, {"jenkins": "slave"})


PROMOTERS = [job("trainyard-promotion", "promote"), agent("trainyard-promotion")]
DRIFT, PROMETHEUS = job("trainyard-jobs", "drift", mails="owner"), job("gmp-system", "collector")
OTHERS = [
    job("trainyard-jobs", "train"),
    job("trainyard-jobs", "test-model"),
    *map(agent, ("trainyard-check", "trainyard-train", "trainyard-release")),
    job("trainyard-staging", "clone"),
    job("default", "anything"),
    CONTROLLER,
    STRANGER,
]


def unreached(objects: Objects) -> list[str]:
    """Who does not reach what it has to, or reaches what it must not."""
    found = []

    def ask(name: str, source: Peer, target: Peer, port: int, expected: bool = True) -> None:
        if reaches(objects, source, target, port) != expected:
            found.append(f"{name}: {port} is {'shut' if expected else 'open'}")

    for deployment in [o for o in objects if o["kind"] == "Deployment" and o["metadata"]["namespace"] == "trainyard"]:
        pod, name = pod_of(deployment), deployment["metadata"]["name"]
        serving = Peer("trainyard", pod["metadata"]["labels"])
        ports = {p["name"]: p["containerPort"] for c in pod["spec"]["containers"] for p in c["ports"]}
        health = {
            policy["spec"]["default"]["config"][kind]["port"]
            for policy in objects if policy["kind"] == "HealthCheckPolicy"
            for kind in policy["spec"]["default"]["config"] if kind != "type"
        }  # fmt: skip
        for balancer in BALANCERS:
            for port in {ports["http"], ports["grpc"], *health}:
                ask(f"load balancer to {name}", balancer, serving, port)
            ask(f"load balancer to {name}", balancer, serving, ports["metrics"], False)
        for source in PROMOTERS:
            ask(f"promotion to {name}", source, serving, ports["grpc"])
        scraped = {
            ports[endpoint["port"]]
            for o in objects if o["kind"] == "PodMonitoring" for endpoint in o["spec"]["endpoints"]
        }  # fmt: skip
        for port in scraped:
            ask(f"Prometheus to {name}", PROMETHEUS, serving, port)
        for port in map(int, re.findall(r"adapter\.trainyard\.svc:(9102|8080)", str(objects))):
            ask(f"drift to {name}", DRIFT, serving, port)
        for source in OTHERS:
            for port in ports.values():
                ask(f"{source} to {name}", source, serving, port, False)
        ask(f"{name} to Google's APIs", serving, APIS, 443)
        ask(f"{name} to the world", serving, STRANGER, 443, False)
    for source in (
        *BALANCERS,
        *map(agent, ("trainyard-check", "trainyard-train", "trainyard-promotion", "trainyard-release")),
    ):
        ask(f"{source} to Jenkins", source, CONTROLLER, 8080)
    for source in (job("trainyard-jobs", "train"), job("trainyard-check", "made-up"), STRANGER):
        ask(f"{source} to Jenkins", source, CONTROLLER, 8080, False)
    for who in (DRIFT, job("trainyard-promotion", "promote", mails="owner")):
        ask(f"{who} to the mail server", who, STRANGER, 587)
    train = job("trainyard-jobs", "train")
    ask("training to Google's APIs", train, APIS, 443)
    ask("training to the world", train, STRANGER, 587, False)
    workers = job("trainyard-jobs", "train-workers")
    ask("worker to worker", workers, workers, 2222)
    ask("training to worker", train, workers, 2222, False)
    for source in (*BALANCERS, *OTHERS, *PROMOTERS):
        ask(f"{source} to a clone", source, job("trainyard-staging", "clone"), 8080, False)
    return found


def test_each_reaches_what_it_has_to_and_nothing_else() -> None:
    assert unreached(everything()) == []


NAMED = "kubernetes.io/metadata.name: "
# What is done to the manifests, and what is found.
SHUT = {
    "one of the load balancer's ranges": (
        ("cidr: 35.191.0.0/16", "cidr: 35.192.0.0/16"),
        "load balancer to serving: 8080 is shut",
    ),
    "drift's way to the port of metrics": (
        ("- port: 8080\n    - port: 9102\n    to:", "- port: 8080\n    to:"),
        "drift to serving: 9102 is shut",
    ),
    "promotions from Jobs": (
        (f"{NAMED}trainyard-promotion", f"{NAMED}trainyard-promotions"),
        "promotion to serving: 9090 is shut",
    ),
    "agents of one kind": (("- trainyard-release\n", "- trainyard-releases\n"), "to Jenkins: 8080 is shut"),
    "Prometheus": ((f"{NAMED}gmp-system", f"{NAMED}gmp"), "Prometheus to serving: 9102 is shut"),
    "mail": (("port: 587", "port: 25"), "to the mail server: 587 is shut"),
    "workers": (("port: 2222", "port: 2223"), "worker to worker: 2222 is shut"),
    "Google's APIs": (("cidr: 199.36.153.8/30", "cidr: 199.36.153.4/30"), "to Google's APIs: 443 is shut"),
}


@pytest.mark.parametrize("fault", SHUT)
def test_way_that_is_shut_is_found(fault: str) -> None:
    (old, new), said = SHUT[fault]
    text = written(everything())
    assert old in text, fault
    found = unreached(list(parsed(text.replace(old, new))))
    assert any(said in one for one in found), found


@pytest.mark.parametrize("kind", ["no policy", "everybody"])
def test_way_that_is_open_is_found(kind: str) -> None:
    objects = everything()
    if kind == "no policy":
        objects = [o for o in objects if o["kind"] != "NetworkPolicy"]
    else:
        policies = of_kind(render("overlays/production"), "NetworkPolicy")
        (policy,) = [o for o in policies if o["metadata"]["name"] == "serving"]
        more = copy.deepcopy(policy)
        more["metadata"]["name"] = "more"
        more["spec"]["ingress"] = [{"from": [{"namespaceSelector": {}}]}]
        objects.append(more)
    found = unreached(objects)
    assert any("trainyard-train" in one and "9090 is open" in one for one in found), found


# Signals and times.


def wrong_with_leaving(pod: dict[str, Any]) -> list[str]:
    """What a caller would notice of a pod that leaves, however TensorFlow Serving takes the signal."""
    adapter = next(c for c in pod["containers"] if c["name"] == "adapter")
    options = typer.main.get_command(app).make_context("adapter", list(adapter["args"])).params
    # The adapter answers what it has; closing takes it up to five seconds more.
    needs = options["drain_timeout"] + 5
    found = []
    # As process 1 without a handler it does not heed SIGTERM (tensorflow/serving#1853); or it does at once.
    for server in (None, 0.0):
        ends = leaving(pod, {"adapter": needs, "model-server": server})
        if ends["adapter"].killed:
            found.append("the adapter is killed amid its answers")
        if ends["model-server"].ended < ends["adapter"].ended:
            found.append("the model server is gone before the adapter has its answers")
        for policy in of_kind(render("overlays/production"), "HealthCheckPolicy"):
            health = policy["spec"]["default"]
            noticed = health["checkIntervalSec"] * health["unhealthyThreshold"] + health["timeoutSec"]
            if ends["adapter"].told < noticed:
                found.append("the load balancer still sends")
    return found


@pytest.mark.parametrize("folder", SERVED)
def test_pod_that_leaves_answers_what_it_has_taken(folder: str) -> None:
    for pod in pods(folder):
        assert wrong_with_leaving(pod["spec"]) == []


def test_pod_that_would_cut_its_callers_off_is_found() -> None:
    (pod,) = pods("overlays/production")
    short, early, beside = (copy.deepcopy(pod["spec"]) for _ in range(3))
    short["terminationGracePeriodSeconds"] = 40
    assert "the adapter is killed amid its answers" in wrong_with_leaving(short)
    early["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] = 5
    assert "the load balancer still sends" in wrong_with_leaving(early)
    # An ordinary container gets the signal when the adapter does.
    (server,) = beside["initContainers"]
    beside["containers"].append(server)
    beside["initContainers"] = []
    assert "the model server is gone before the adapter has its answers" in wrong_with_leaving(beside)


def wrong_with_times(objects: Objects, idle: float) -> list[str]:
    """Where two waits end in the wrong order, so that a caller hears of the one that knows less."""
    found = []
    (pod,) = [pod_of(o)["spec"] for o in objects if o["kind"] == "Deployment"]
    adapter = next(c for c in pod["containers"] if c["name"] == "adapter")
    options = typer.main.get_command(app).make_context("adapter", list(adapter["args"])).params
    backends = {
        o["spec"]["targetRef"]["name"]: o["spec"]["default"] for o in objects if o["kind"] == "GCPBackendPolicy"
    }
    if backends["classifier"]["timeoutSec"] <= options["request_timeout"]:
        found.append("the load balancer gives up before the adapter does")
    if backends["streams"]["timeoutSec"] < 3600:
        found.append("streams are cut")
    if min(b["connectionDraining"]["drainingTimeoutSec"] for b in backends.values()) < options["request_timeout"]:
        found.append("the load balancer drops what it has sent")
    if idle <= BALANCER_IDLE:
        found.append("the adapter closes connections that the load balancer sends on")
    return found


def test_the_one_that_knows_more_gives_up_first() -> None:
    objects = list(render("overlays/production"))
    assert wrong_with_times(objects, ConnectionLimits().idle_seconds) == []
    text = written(objects)
    for old, new, idle, said in (
        ("timeoutSec: 15", "timeoutSec: 10", 620, "gives up before"),
        ("timeoutSec: 3600", "timeoutSec: 15", 620, "streams are cut"),
        ("drainingTimeoutSec: 30", "drainingTimeoutSec: 5", 620, "drops what it has sent"),
        ("", "", 5, "closes connections"),
    ):
        assert old in text
        planted = list(parsed(text.replace(old, new) if old else text))
        assert any(said in one for one in wrong_with_times(planted, idle)), said
