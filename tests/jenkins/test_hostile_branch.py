"""What a pushed Jenkinsfile can reach, whatever it says: nothing beyond what checks need.

Read here as the Kubernetes plugin decides it: an agent of a cloud that is `usageRestricted` runs nothing but jobs below
a folder that permits the cloud (KubernetesQueueTaskDispatcher, and PodTemplateStepExecution for a pod of the
Jenkinsfile's own). Of a cloud that is permitted, or not restricted, a Jenkinsfile may choose the pod, its namespace,
account and volumes, as far as the cloud's credentials go; and its label, so that the pod is given whatever else asks
for that label and may use the cloud.
"""

import copy
import re
import subprocess

import pytest
import yaml

from tests.jenkins.groovy import JENKINSFILES, Scenarios
from tests.jenkins.test_controller import read
from tests.jenkins.test_seed import IN_THE_IMAGE, JOBS, SEED, inside
from tests.manifests import K8S, MODELS, render, require_kubectl

CONTROLLER = "trainyard-ci"
PRODUCTION = "trainyard"


@pytest.fixture(scope="module")
def permitted(tmp_path_factory):
    """Job -> the restricted clouds that it may use."""
    scenarios = Scenarios(tmp_path_factory.mktemp("hostile"))
    scenarios.add_jobs("seed", SEED.replace(IN_THE_IMAGE, str(JENKINSFILES / "controller" / "jobs.groovy")))
    scenarios.add_jobs("jobs", JOBS, models=["digits"])
    made = scenarios.run()
    found = {}
    for result in made.values():
        folders = {}
        for call in result.calls_made:
            given = list(inside(call["body"], "properties", "kubernetesFolderProperty", "permittedClouds"))
            if call["name"] in ("folder", "multibranchPipelineJob"):
                folders[call["given"][0]] = set(given[0][0]) if given else set()
        for call in result.calls_made:
            if call["name"] in ("pipelineJob", "freeStyleJob", "multibranchPipelineJob"):
                name = call["given"][0]
                found[name] = folders.get(name, folders.get(name.rpartition("/")[0], set()))
    return found


@pytest.fixture(scope="module")
def manifests():
    require_kubectl()
    objects = []
    for folder in (JENKINSFILES / "gke", K8S / "jobs" / "namespace", K8S / "overlays" / "production"):
        done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        objects += yaml.safe_load_all(done.stdout)
    return objects


def clouds():
    return [cloud["kubernetes"] for cloud in read("gke")["jenkins"]["clouds"]]


def usable(permitted, job, among):
    """The clouds whose agents run the job."""
    return {cloud["name"] for cloud in among if not cloud.get("usageRestricted") or cloud["name"] in permitted[job]}


def token_of(cloud, manifests):
    """The account by whose token the cloud makes pods."""
    credentials = read("common")["credentials"]["system"]["domainCredentials"][0]["credentials"]
    (secret,) = [c["string"]["secret"] for c in credentials if c.get("string", {}).get("id") == cloud["credentialsId"]]
    (stateful,) = [m for m in manifests if m["kind"] == "StatefulSet"]
    volumes = stateful["spec"]["template"]["spec"]["volumes"]
    sources = [s["secret"] for v in volumes for s in v.get("projected", {}).get("sources", []) if "secret" in s]
    file = re.fullmatch(r"\$\{(\w+):-\}", secret)[1]
    (name,) = [s["name"] for s in sources for i in s.get("items", []) if i["path"] == file]
    (made,) = [m for m in manifests if m["kind"] == "Secret" and m["metadata"]["name"] == name]
    return made["metadata"]["annotations"]["kubernetes.io/service-account.name"]


def pods_in(account, manifests):
    """The namespaces in which an account of the controller's namespace may make pods."""
    roles = {
        (m["metadata"]["namespace"], m["metadata"]["name"])
        for m in manifests
        if m["kind"] == "Role"
        for rule in m["rules"]
        if {"pods", "jobs"} & set(rule["resources"]) and "create" in rule["verbs"]
    }
    return {
        m["metadata"]["namespace"]
        for m in manifests
        if m["kind"] == "RoleBinding"
        and (m["metadata"]["namespace"], m["roleRef"]["name"]) in roles
        and {"kind": "ServiceAccount", "name": account, "namespace": CONTROLLER} in m["subjects"]
    }


def reached(permitted, manifests, job, among):
    """(clouds, namespaces, service accounts) that a Jenkinsfile of the job has, whatever it says."""
    names = usable(permitted, job, among)
    spaces = {s for c in among if c["name"] in names for s in pods_in(token_of(c, manifests), manifests)}
    accounts = {
        f"{m['metadata']['namespace']}/{m['metadata']['name']}"
        for m in manifests
        if m["kind"] == "ServiceAccount" and m["metadata"]["namespace"] in spaces
    }
    return names, spaces, accounts


def test_branch_reaches_what_checks_need_and_nothing_else(permitted, manifests):
    expected = {"check"}, {"trainyard-check"}, {"trainyard-check/trainyard-check"}
    assert reached(permitted, manifests, "branches", clouds()) == expected


def test_main_trains_and_does_not_promote(permitted, manifests):
    names, spaces, accounts = reached(permitted, manifests, "trainyard", clouds())
    assert (names, spaces) == ({"train"}, {"trainyard-train"})
    assert accounts == {"trainyard-train/trainyard-check", "trainyard-train/trainyard-train"}


def test_promotions_alone_promote(permitted, manifests):
    having = {job for job in permitted if "promote" in usable(permitted, job, clouds())}
    assert having == {"production/promote", "production/rollback"}


def test_programs_are_built_and_rolled_out_by_their_own_job_alone(permitted, manifests):
    having = {job for job in permitted if "release" in usable(permitted, job, clouds())}
    assert having == {"release/roll-out"}
    names, spaces, accounts = reached(permitted, manifests, "release/roll-out", clouds())
    assert (names, spaces) == ({"release"}, {"trainyard-release"})
    assert accounts == {"trainyard-release/trainyard-build", "trainyard-release/trainyard-rollout"}


def changes_programs(manifests):
    """Who may change what is in production's namespace."""
    return {
        f"{s['namespace']}/{s['name']}"
        for m in manifests
        if m["kind"] == "RoleBinding" and m["metadata"]["namespace"] == PRODUCTION
        for s in m["subjects"]
    }


def test_nobody_changes_programs_but_what_rolls_them_out(manifests):
    assert changes_programs(manifests) == {"trainyard-release/trainyard-rollout"}
    assert not [m for m in manifests if m["kind"].startswith("ClusterRole")]


def test_another_account_that_changes_programs_would_be_found(manifests):
    broken = copy.deepcopy(manifests)
    (binding,) = [m for m in broken if m["kind"] == "RoleBinding" and m["metadata"]["namespace"] == PRODUCTION]
    binding["subjects"].append({"kind": "ServiceAccount", "name": "trainyard-check", "namespace": "trainyard-check"})
    assert "trainyard-check/trainyard-check" in changes_programs(broken)


def test_key_of_images_is_not_where_the_cluster_is_changed_and_the_right_not_where_the_key_is():
    templates = {t["label"]: t for cloud in clouds() for t in cloud["templates"] if cloud["name"] == "release"}
    pods = {label: yaml.safe_load(t["yaml"])["spec"] for label, t in templates.items()}
    mounted = {label: [v for v in pod["volumes"] if "emptyDir" not in v] for label, pod in pods.items()}
    assert mounted["trainyard-build"] == [{"name": "images", "secret": {"secretName": "images-signing"}}]
    assert pods["trainyard-build"]["automountServiceAccountToken"] is False
    assert {"name": "images", "configMap": {"name": "images-public"}} in mounted["trainyard-rollout"]
    assert "images-signing" not in str(mounted["trainyard-rollout"])
    # What rolls out is told whose signature counts, without which scripts/roll-out --built does nothing.
    env = {v["name"] for v in pods["trainyard-rollout"]["containers"][0]["env"]}
    assert "TRAINYARD_IMAGES_PUBLIC_KEYS" in env and "TRAINYARD_IMAGES_KEY" not in env


APPLIED = {"create", "get", "patch"}


def wrong_with_the_right_to_roll_out(role, applied):
    """What the role lacks of what is applied, and what it has that is not."""
    may = {(g, r): set(rule["verbs"]) for rule in role["rules"] for g in rule["apiGroups"] for r in rule["resources"]}
    needs = {key: set(APPLIED) for key in applied}
    needs["", "namespaces"] = {"get"}  # it stays as it is
    # Waiting, and going back to a revision.
    needs["apps", "deployments"] |= {"list", "watch"}
    needs["apps", "replicasets"] = {"list"}
    return sorted(key for key in may.keys() | needs.keys() if may.get(key) != needs.get(key))


@pytest.fixture(scope="module")
def applied():
    """(group, resource) of all that scripts/roll-out applies."""
    found = set()
    for folder in ("overlays/production", *MODELS):
        for made in render(folder):
            group = made["apiVersion"].rpartition("/")[0]
            kind = made["kind"].lower()
            plural = kind if kind.endswith("s") else re.sub(r"(?<=[^aeiou])y$", "ie", kind) + "s"
            found.add((group, plural))
    return found


def test_right_to_roll_out_is_for_what_is_applied_and_nothing_else(manifests, applied):
    (role,) = [m for m in manifests if m["kind"] == "Role" and m["metadata"]["namespace"] == PRODUCTION]
    assert len(applied) > 10
    assert wrong_with_the_right_to_roll_out(role, applied) == []
    for name, change in (("services", list.remove), ("secrets", list.append)):
        broken = copy.deepcopy(role)
        (rule,) = [r for r in broken["rules"] if "services" in r["resources"]]
        change(rule["resources"], name)
        assert wrong_with_the_right_to_roll_out(broken, applied) == [("", name)]


def shared(permitted, among):
    """Jobs whose work a pod of a branch's making may be given."""
    of_branches = usable(permitted, "branches", among)
    return {job for job in permitted if job != "branches" and usable(permitted, job, among) & of_branches}


def test_no_pod_that_a_branch_makes_up_is_given_work_of_main(permitted):
    assert shared(permitted, clouds()) == set()
    # All that main asks for, it has elsewhere.
    labels = {cloud["name"]: {t["label"] for t in cloud["templates"]} for cloud in clouds()}
    assert labels["train"] == {"trainyard-check", "trainyard-train", "trainyard-gpu"}
    # A pod whose Jenkinsfile names no cloud gets the first.
    assert clouds()[0]["name"] == "check"


def test_cloud_for_all_would_be_found(permitted):
    broken = copy.deepcopy(clouds())
    broken[0]["usageRestricted"] = False
    assert shared(permitted, broken) == {
        "trainyard",
        "request",
        "setup/seed",
        "production/promote",
        "production/rollback",
        "release/roll-out",
    }


def test_cloud_that_anybody_may_use_would_be_found(permitted, manifests):
    for name in ("train", "promote", "release"):
        broken = copy.deepcopy(clouds())
        next(cloud for cloud in broken if cloud["name"] == name)["usageRestricted"] = False
        assert name in reached(permitted, manifests, "branches", broken)[0]


def test_cloud_with_another_ones_credentials_would_be_found(permitted, manifests):
    broken = copy.deepcopy(clouds())
    broken[0]["credentialsId"] = "trainyard-cloud-promote"
    assert reached(permitted, manifests, "branches", broken)[1] == {"trainyard-promotion"}


def test_no_token_of_a_cloud_reaches_the_controllers_namespace_or_a_second_one(manifests):
    for cloud in clouds():
        assert pods_in(token_of(cloud, manifests), manifests) == {cloud["namespace"]}
    assert not [
        m["metadata"]["name"] for m in manifests if m["kind"] == "Role" and m["metadata"]["namespace"] == CONTROLLER
    ]
    # The controller's own account, by which a cloud without credentials would work, may do nothing.
    subjects = [s for m in manifests if m["kind"] == "RoleBinding" for s in m["subjects"]]
    assert "jenkins" not in {s["name"] for s in subjects}


def test_agents_of_checks_hold_no_key_no_token_and_no_right_but_to_read_what_became_of_pushes():
    (check,) = [cloud for cloud in clouds() if cloud["name"] == "check"]
    assert {t["label"] for t in check["templates"]} == {"trainyard-check", "trainyard-trial"}
    assert open_to(check["templates"]) == []
    rights = (K8S.parent / "terraform" / "rights.tf").read_text().replace("${var.name}", "trainyard")
    for space in ("trainyard-check", "trainyard-train"):
        assert re.search(rf'"{space}/trainyard-check" += \{{ pipeline = local\.reads \}}', rights)


def open_to(templates):
    """What agents that run anybody's program have beside their checkout."""
    found = []
    for template in templates:
        pod = yaml.safe_load(template["yaml"])["spec"]
        if pod["automountServiceAccountToken"] or template["serviceAccount"] != "trainyard-check":
            found.append("an account")
        found += [volume["name"] for volume in pod["volumes"] if "emptyDir" not in volume]
        found += [variable["name"] for c in pod["containers"] for variable in c.get("env", [])]
        found += [source for c in pod["containers"] for source in c.get("envFrom", [])]
    return found


def test_key_or_password_beside_a_branch_would_be_found():
    (train,) = [cloud for cloud in clouds() if cloud["name"] == "train"]
    having = [template for template in train["templates"] if template["label"] == "trainyard-train"]
    assert open_to(having) == ["an account", "signing", "TRAINYARD_SMTP_PASSWORD"]


def readable(common):
    """The credentials that any build can read: those that are not for the controller itself."""
    (domain,) = common["credentials"]["system"]["domainCredentials"]
    kinds = [about for credential in domain["credentials"] for about in credential.values()]
    return {about["id"] for about in kinds if about["scope"] != "SYSTEM"}


def test_builds_read_the_key_by_which_they_are_checked_out_and_no_other_credential():
    assert readable(read("common")) == {"trainyard-repository"}
    assert not any("credentials" in read(name) for name in ("gke", "laptop"))


def test_credential_for_all_would_be_found():
    common = read("common")
    common["credentials"]["system"]["domainCredentials"][0]["credentials"][-1]["basicSSHUserPrivateKey"]["scope"] = (
        "GLOBAL"
    )
    assert readable(common) == {"trainyard-repository", "trainyard-agent"}


def test_variables_that_builds_are_given_hold_no_secret():
    (variables,) = [p["envVars"]["env"] for p in read("common")["jenkins"]["globalNodeProperties"]]
    given = " ".join(variable["value"] for variable in variables)
    assert not re.search(r"PASSWORD|TOKEN|_KEY\b(?<!SIGNING_KEY)", given)


def test_whoever_makes_jobs_makes_none_that_promotes(manifests):
    """Who may make a pod in a namespace has every account and secret of it."""
    makers = {
        (m["metadata"]["namespace"], f"{s['namespace']}/{s['name']}")
        for m in manifests
        if m["kind"] == "RoleBinding"
        for s in m["subjects"]
    }
    assert {who for space, who in makers if space == "trainyard-promotion"} == {"trainyard-ci/jenkins-promote"}
    promoting = {f"{m['metadata']['namespace']}" for m in manifests if m["kind"] == "ServiceAccount"
                 and m["metadata"]["name"] in ("promote", "trainyard-promote")}  # fmt: skip
    assert promoting == {"trainyard-promotion"}


def test_nobody_but_promotions_calls_production_by_grpc(manifests):
    peers = [
        (peer.get("namespaceSelector"), peer.get("podSelector"))
        for m in manifests
        if m["kind"] == "NetworkPolicy" and m["metadata"]["namespace"] == PRODUCTION
        for rule in m["spec"].get("ingress", [])
        if {"port": 9090} in rule["ports"] and {"port": 8080} not in rule["ports"]
        for peer in rule["from"]
    ]
    assert peers == [({"matchLabels": {"kubernetes.io/metadata.name": "trainyard-promotion"}}, None)]
