"""What we want of every pod and of the network around it."""

import copy
import re

import pytest

from tests.manifests import ALL, JOBS, MODELS, NAMESPACES, OVERLAYS, SERVED, containers, of_kind, pod_of, pods, render

WITH_PODS = (*SERVED, *JOBS)
# The only differences between staging and production.
ONLY_IN_PRODUCTION = {
    "Service",
    "Gateway",
    "HTTPRoute",
    "HealthCheckPolicy",
    "GCPBackendPolicy",
    "PodMonitoring",
    "Rules",
}


def each_container():
    for folder in WITH_PODS:
        for pod in pods(folder):
            for name, container in containers(pod).items():
                yield f"{folder} {name}", pod, container


def test_nobody_is_root_and_nobody_may_become_it():
    checked = 0
    for name, pod, container in each_container():
        inside, around = container["securityContext"], pod["spec"]["securityContext"]
        assert around["runAsNonRoot"] and inside["runAsNonRoot"], name
        assert around["runAsUser"] > 0 and "runAsUser" not in inside, name
        assert inside["allowPrivilegeEscalation"] is False, name
        assert inside["capabilities"] == {"drop": ["ALL"]}, name
        assert around["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys(), name
        checked += 1
    assert checked >= 10


def test_roots_are_read_only_and_volumes_have_a_limit():
    for name, pod, container in each_container():
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        for volume in pod["spec"]["volumes"]:
            assert {"configMap", "secret"} & volume.keys() or volume["emptyDir"]["sizeLimit"], name


def test_every_image_is_pinned():
    for name, _, container in each_container():
        assert re.search(r":(?!latest$)[\w.-]+$|@sha256:[0-9a-f]{64}$", container["image"]), name


def test_requests_and_limits_are_set():
    for name, _, container in each_container():
        for kind in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"][kind].keys(), name


def test_jobs_take_the_memory_they_may_have():
    # One that takes more than it asked for is killed when its node is short, hours into a training.
    for folder in JOBS:
        for pod in pods(folder):
            for container in containers(pod).values():
                resources = container["resources"]
                assert resources["requests"]["memory"] == resources["limits"]["memory"], folder


def test_no_pod_is_given_a_token_of_the_cluster():
    for name, pod, _ in each_container():
        assert pod["spec"]["automountServiceAccountToken"] is False, name
    for folder in ALL:
        for account in of_kind(render(folder), "ServiceAccount"):
            assert account["automountServiceAccountToken"] is False


def test_only_what_publishes_has_the_key_that_signs():
    having = {name for name, _, container in each_container() if "private-key" in str(container["volumeMounts"])}
    assert having == {"jobs/train step", "jobs/train-gpu step", "jobs/train-workers step", "jobs/retrain step",
                      "jobs/schedule retrain", *(f"{model}/jobs retrain" for model in MODELS)}  # fmt: skip
    for name, _, container in each_container():
        variables = {variable["name"] for variable in container.get("env", [])}
        assert ("TRAINYARD_SIGNING_KEY" in variables) == (name in having), name


def test_every_public_key_that_is_mounted_counts():
    # A change of the key needs two; one file by its name would be the old one for ever.
    checking = 0
    for name, pod, container in each_container():
        told = [v["value"] for v in container.get("env", []) if v["name"] == "TRAINYARD_SIGNING_PUBLIC_KEYS"]
        mounts = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "public-key"]
        assert told == mounts, name
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        if mounts:
            assert volumes["public-key"]["configMap"] == {"name": "signing-public"}, name
            checking += 1
    assert checking >= 10


def test_there_is_no_secret():
    assert not [found for folder in ALL for found in of_kind(render(folder), "Secret")]


@pytest.mark.parametrize("folder", [*OVERLAYS, *NAMESPACES])
def test_namespaces_hold_pods_to_the_restricted_standard(folder):
    (namespace,) = of_kind(render(folder), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    # Whatever has a namespace is in this one.
    others = {found["metadata"].get("namespace") for found in render(folder) if found["kind"] != "Namespace"}
    assert others == {namespace["metadata"]["name"]}


@pytest.mark.parametrize("folder", SERVED)
def test_model_server_has_no_port_and_is_in_no_service(folder):
    for pod in pods(folder):
        server = containers(pod)["model-server"]
        assert "ports" not in server
        assert {"--port=0", "--rest_api_port=0"} <= set(server["args"])
    open_to = {port["targetPort"] for s in of_kind(render(folder), "Service") for port in s["spec"]["ports"]}
    assert open_to == {"http", "grpc"}  # the adapter's
    assert {s["spec"].get("type", "ClusterIP") for s in of_kind(render(folder), "Service")} == {"ClusterIP"}


@pytest.mark.parametrize("folder", OVERLAYS)
def test_nobody_reaches_a_pod_but_the_gateway_promotions_drift_and_prometheus(folder):
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind(render(folder), "NetworkPolicy")}
    assert policies["closed"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    serving = policies["serving"]
    assert set(policies) == {"closed", "serving"}
    # In production whatever pod there is, of whichever model; in staging no clone.
    assert serving["podSelector"] == ({"matchLabels": {"app": "serving"}} if folder == "overlays/staging" else {})
    let_in = {}
    for rule in serving["ingress"]:
        for peer in rule["from"]:
            block, where = peer.get("ipBlock", {}).get("cidr"), peer.get("namespaceSelector", {}).get("matchLabels", {})
            app = peer.get("podSelector", {}).get("matchLabels", {}).get("app", "any")
            peers = let_in.setdefault(block or f"{where['kubernetes.io/metadata.name']}/{app}", set())
            peers |= {port["port"] for port in rule["ports"]}
    # Where adapters want tokens, what they have counted is told at a port of its own.
    metrics = {8080} if folder == "overlays/staging" else {8080, 9102}
    google = {block: {8080, 9090} for block in ("130.211.0.0/22", "35.191.0.0/16")}
    assert let_in == google | {
        "trainyard-promotion/any": {9090},
        "trainyard-jobs/drift": metrics,
        "gmp-system/any": metrics,
    }


@pytest.mark.parametrize("folder", [*OVERLAYS, *NAMESPACES])
def test_no_pod_reaches_the_internet(folder):
    blocks, anywhere = set(), []
    for policy in of_kind(render(folder), "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            if "to" not in rule:
                anywhere.append((policy["metadata"]["name"], [port["port"] for port in rule["ports"]]))
            blocks |= {peer["ipBlock"]["cidr"] for peer in rule.get("to", []) if "ipBlock" in peer}
    # Link-local addresses of the node, and Google's APIs.
    assert blocks == {"169.254.20.10/32", "169.254.169.252/32", "169.254.169.254/32", "199.36.153.8/30"}
    # Mail goes to a server of yours.
    assert anywhere == ([("mail", [587])] if folder in NAMESPACES else [])


def test_who_mails_the_owner_has_an_address_a_password_and_a_way_out():
    having = set()
    for folder in JOBS:
        for pod in pods(folder):
            if pod["metadata"]["labels"].get("mails") != "owner":
                assert "smtp" not in str(pod), folder
                continue
            having.add((folder, pod["metadata"]["labels"]["app"]))
            (settings,) = [c for c in of_kind(render(folder), "ConfigMap") if "mail-" in c["metadata"]["name"]]
            # Without a user no password is sent.
            given = ("OWNER", "SENDER", "SMTP_HOST", "SMTP_USER")
            assert settings["data"].keys() == {f"TRAINYARD_MAIL_{name}" for name in given}
            for container in containers(pod).values():
                assert settings["metadata"]["name"] in {
                    source["configMapRef"]["name"] for source in container["envFrom"]
                }
                variables = {variable["name"]: variable for variable in container["env"]}
                secret = variables["TRAINYARD_SMTP_PASSWORD"]["valueFrom"]["secretKeyRef"]
                assert secret == {"name": "smtp", "key": "password", "optional": True}
    by_clock = {
        (folder, app) for folder in ("jobs/schedule", *(f"{m}/jobs" for m in MODELS)) for app in ("retrain", "drift")
    }
    assert having == {("jobs/promote", "promote"), ("jobs/drift", "drift"), *by_clock}
    for namespace in NAMESPACES:
        (policy,) = [p for p in of_kind(render(namespace), "NetworkPolicy") if p["metadata"]["name"] == "mail"]
        assert policy["spec"]["podSelector"] == {"matchLabels": {"mails": "owner"}}


def test_drift_by_the_clock_is_the_job_of_that_name():
    (by_hand,), by_clock = (
        pods("jobs/drift"),
        [p for p in pods("jobs/schedule") if p["metadata"]["labels"]["app"] == "drift"],
    )
    (ours,), (theirs,) = containers(by_hand).values(), containers(by_clock[0]).values()
    assert {**theirs, "name": "step"} == ours
    without = [{k: v for k, v in pod["spec"].items() if k != "containers"} for pod in (by_hand, by_clock[0])]
    assert without[0] == without[1]


def test_gateway_shows_no_metrics_and_no_probe():
    paths = [
        match["path"]
        for folder in ("overlays/production", *MODELS)
        for route in of_kind(render(folder), "HTTPRoute")
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
    ]
    assert paths
    for hidden in ("/metrics", "/livez", "/readyz", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"):
        for path in paths:
            reached = hidden == path["value"] if path["type"] == "Exact" else hidden.startswith(path["value"])
            assert not reached, f"{hidden} is reached by {path}"


def by_identity(folder):
    return {(o["kind"], o["metadata"]["name"].split("-")[0]): o for o in render(folder) if o["kind"] != "Namespace"}


def without_names(value):
    """A manifest without what namespaces and a ConfigMap's content do to its names."""
    if isinstance(value, dict):
        return {k: without_names(v) for k, v in value.items() if k != "namespace"}
    if isinstance(value, list):
        return [without_names(item) for item in value]
    return re.sub(r"^serving-[a-z0-9]{10}$", "serving", value) if isinstance(value, str) else value


def open_to_all(deployment):
    """Without what infra/k8s/access adds: a clone is asked on loopback, by whoever made it."""
    deployment = copy.deepcopy(deployment)
    pod = pod_of(deployment)["spec"]
    (adapter,) = pod["containers"]
    for kind in (adapter["volumeMounts"], adapter["ports"], pod["volumes"]):
        (added,) = [one for one in kind if one["name"] in ("tokens", "metrics")]
        kind.remove(added)
    adapter["args"] = [a for a in adapter["args"] if not a.startswith(("--token-file=", "--metrics-port="))]
    return deployment


def test_staging_differs_from_production_only_where_it_must():
    staging, production = by_identity("overlays/staging"), by_identity("overlays/production")
    assert {kind for kind, _ in production.keys() - staging.keys()} <= ONLY_IN_PRODUCTION
    ways_in = [
        {o["metadata"]["name"] for o in all_.values() if o["kind"] == "Service"} for all_ in (production, staging)
    ]
    assert ways_in[0] - ways_in[1] == {"chest-xray-adapter"}
    assert not staging.keys() - production.keys()
    differing = set()
    for key, object_ in staging.items():
        here, there = without_names(object_), without_names(production[key])
        if key == ("Deployment", "serving"):
            # Clones are made from it; no pod runs in between.
            assert here["spec"].pop("replicas") == 0
            assert "replicas" not in there["spec"]
            there = open_to_all(there)
        if here != there:
            differing.add(key)
    # Which of a namespace's pods are served from: of staging's none.
    assert differing == {("ConfigMap", "serving"), ("NetworkPolicy", "serving")}
    folders = [of[("ConfigMap", "serving")]["data"] for of in (staging, production)]
    assert folders == [{"STAGE": "testing"}, {"STAGE": "production"}]


def test_embedded_overlay_changes_the_model_servers_program_alone():
    embedded, production = by_identity("overlays/embedded"), by_identity("overlays/production")
    differing = {key for key in embedded.keys() | production.keys() if embedded.get(key) != production.get(key)}
    assert differing == {("Deployment", "serving")}
    (ours,), (original,) = pods("overlays/embedded"), pods("overlays/production")
    assert containers(ours)["adapter"] == containers(original)["adapter"]
    here, there = containers(ours)["model-server"], containers(original)["model-server"]
    assert {key for key in here.keys() | there.keys() if here.get(key) != there.get(key)} == {"image", "command"}


def test_only_promotions_and_gc_have_an_account_that_writes_to_production():
    accounts = {(folder, pod["spec"]["serviceAccountName"]) for folder in JOBS for pod in pods(folder)}
    assert {folder for folder, account in accounts if account == "promote"} == {"jobs/promote"}
    assert {folder for folder, account in accounts if account == "gc"} == {"jobs/gc", *(f"{m}/gc" for m in MODELS)}
    assert {account for _, account in accounts} == {"promote", "gc", "pipeline"}


def test_what_removes_models_is_suspended_and_calls_googles_apis_alone():
    for folder in ("jobs/gc", *(f"{model}/gc" for model in MODELS)):
        (job,) = of_kind(render(folder), "CronJob")
        assert job["spec"]["suspend"] is True
        labels = pod_of(job)["metadata"]["labels"]
        reached = set()
        for policy in of_kind(render("jobs/promotion"), "NetworkPolicy"):
            selector = policy["spec"]["podSelector"]
            if selector.get("matchLabels", {}).items() <= labels.items() and all(
                labels.get(wanted["key"]) in wanted["values"] for wanted in selector.get("matchExpressions", [])
            ):
                reached |= {port["port"] for rule in policy["spec"].get("egress", []) for port in rule["ports"]}
        assert reached == {53, 80, 443, 988}


def test_roles_touch_nothing_but_jobs_and_what_belongs_to_them():
    for role in of_kind(render("jobs/namespace"), "Role"):
        for rule in role["rules"]:
            assert set(rule["resources"]) <= {"jobs", "configmaps", "pods", "events", "pods/log"}
            assert "*" not in rule["verbs"]
            if "pods" in rule["resources"]:
                assert set(rule["verbs"]) == {"get", "list", "watch"}
    assert not of_kind(render("jobs/namespace"), "ClusterRole", "ClusterRoleBinding")
