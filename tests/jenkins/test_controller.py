"""The controller as code: known to the plugins' documented schema, closed, pinned, and without a secret in it."""

import copy
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from notify.delivery import PASSWORD_VARIABLE
from settings import variables as settings

HERE = Path(__file__).parent
JENKINS = HERE.parents[1] / "infra" / "jenkins"
CASC = JENKINS / "controller" / "casc"
FILES = ("common", "laptop", "gke")
SCHEMA = yaml.safe_load((HERE / "casc_schema.yaml").read_text())
REFERENCE = re.compile(r"\$\{([A-Z_]+)(:-[^}]*)?\}")


def read(name):
    return yaml.safe_load((CASC / f"{name}.yaml").read_text())


def problems(value, schema, path=""):
    """Where `value` is not what `schema` takes."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return [f"{path} must hold keys"]
        found = [f"{path}.{key} is not known" for key in value if key not in schema]
        return found + [p for key in value if key in schema for p in problems(value[key], schema[key], f"{path}.{key}")]
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [f"{path} must be a list"]
        return [p for i, item in enumerate(value) for p in problems(item, schema[0], f"{path}[{i}]")]
    kinds = {"text": str, "number": int, "flag": bool}
    right = type(value) is kinds[schema] or (isinstance(value, str) and REFERENCE.fullmatch(value))
    return [] if right else [f"{path} must be a {schema}, not {value!r}"]


def keys(value, path=()):
    """The path of every key."""
    if isinstance(value, dict):
        return [(*path, key) for key in value] + [p for key in value for p in keys(value[key], (*path, key))]
    if isinstance(value, list):
        return [p for i, item in enumerate(value) for p in keys(item, (*path, i))]
    return []


def leaves(value, path=()):
    if isinstance(value, dict):
        return {k: v for key in value for k, v in leaves(value[key], (*path, key)).items()}
    return {path: value}


@pytest.mark.parametrize("name", FILES)
def test_configuration_uses_what_the_plugins_document(name):
    assert problems(read(name), SCHEMA) == []


@pytest.mark.parametrize("name", FILES)
def test_every_misspelt_key_would_be_found(name):
    content = read(name)
    paths = keys(content)
    assert len(paths) > 10
    for path in paths:
        broken = copy.deepcopy(content)
        place = broken
        for part in path[:-1]:
            place = place[part]
        place[f"{path[-1]}z"] = place.pop(path[-1])
        assert any(f"{path[-1]}z is not known" in problem for problem in problems(broken, SCHEMA)), path


def test_value_of_the_wrong_kind_would_be_found():
    assert problems({"jenkins": {"numExecutors": "many"}}, SCHEMA) == [
        ".jenkins.numExecutors must be a number, not 'many'"
    ]


@pytest.mark.parametrize("place", ["laptop", "gke"])
def test_files_that_are_read_together_do_not_say_the_same_thing(place):
    assert not set(leaves(read("common"))) & set(leaves(read(place)))


def labels():
    written = re.findall(r"(?:label|node).*", "\n".join(path.read_text() for path in JENKINS.glob("*enkinsfile")))
    return {label for line in written for label in re.findall(r"'(trainyard-[a-z]+)'", line)}


def test_every_label_that_a_stage_asks_for_has_an_agent():
    asked = labels()
    assert len(asked) == 7
    nodes = [node["permanent"] for node in read("laptop")["jenkins"]["nodes"]]
    assert {label for node in nodes for label in node["labelString"].split()} == asked
    # One model after the other: two on one machine would spoil each other's figures of load.
    assert [node["numExecutors"] for node in nodes if "trainyard-train" in node["labelString"]] == [1]
    assert {template["label"] for template in templates()} == asked


def templates():
    return [t for cloud in read("gke")["jenkins"]["clouds"] for t in cloud["kubernetes"]["templates"]]


def closed(pod):
    """What is open about a pod that should be closed."""
    found = [] if pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] else ["root"]
    if pod["securityContext"]["seccompProfile"] != {"type": "RuntimeDefault"}:
        found.append("system calls")
    for container in pod["containers"]:
        context, resources = container["securityContext"], container["resources"]
        if not context["readOnlyRootFilesystem"] or context["allowPrivilegeEscalation"]:
            found.append("root file system")
        if context["capabilities"] != {"drop": ["ALL"]}:
            found.append("capabilities")
        if not {"cpu", "memory"} <= set(resources["requests"]) & set(resources["limits"]):
            found.append("resources")
    return found


def test_agents_are_closed_pods_with_requests_and_limits():
    for template in templates():
        pod = yaml.safe_load(template["yaml"])["spec"]
        assert closed(pod) == [], template["name"]
        limits = pod["containers"][0]["resources"]["limits"]
        assert ("nvidia.com/gpu" in limits) == (template["label"] == "trainyard-gpu")


def test_only_promotions_have_the_identity_that_writes_to_production():
    accounts = {template["label"]: template["serviceAccount"] for template in templates()}
    assert [label for label, account in accounts.items() if account == "trainyard-promote"] == ["trainyard-promote"]


def test_agents_that_make_jobs_have_what_that_takes_and_no_others_have_a_token():
    with_token = {
        t["label"] for t in templates() if yaml.safe_load(t["yaml"])["spec"].get("automountServiceAccountToken")
    }
    assert with_token == {"trainyard-train", "trainyard-rollout"}
    (account,) = {t["serviceAccount"] for t in templates() if t["label"] == "trainyard-train"}
    roles = JENKINS.parents[1] / "infra" / "k8s" / "jobs" / "namespace" / "accounts.yaml"
    (binding,) = [m for m in yaml.safe_load_all(roles.read_text()) if m["kind"] == "RoleBinding"]
    assert [(s["name"], s["namespace"]) for s in binding["subjects"]] == [(account, "trainyard-train")]
    # Accounts give none by themselves.
    assert all(m["automountServiceAccountToken"] is False for m in manifests() if m["kind"] == "ServiceAccount")
    *_, base = re.split(r"^FROM .* AS base$", (JENKINS / "agent" / "Dockerfile").read_text(), flags=re.M)
    assert "COPY --from=clients /usr/bin/kubectl /usr/bin/docker /usr/local/bin/" in base.split("FROM")[0]


def test_whoever_trains_or_promotes_can_mail_the_owner():
    (variables,) = [p["envVars"]["env"] for p in read("common")["jenkins"]["globalNodeProperties"]]
    # As Trainyard reads them, which refuses a name that is no setting.
    mail = settings.read({v["key"]: "587" for v in variables if v["key"].startswith("TRAINYARD_MAIL")})["mail"]
    assert {"owner", "sender", "smtp_host", "smtp_port", "smtp_user"} == mail.keys()
    password = {
        "name": PASSWORD_VARIABLE,
        "valueFrom": {"secretKeyRef": {"name": "smtp", "key": "password", "optional": True}},
    }
    having = {t["label"] for t in templates() for c in yaml.safe_load(t["yaml"])["spec"]["containers"]
              if password in c.get("env", [])}  # fmt: skip
    assert having == {"trainyard-train", "trainyard-gpu", "trainyard-promote"}


def faults_of_tokens(templates):
    """Agents that ask production's adapters and show none, or show one that they need not have."""
    (settings,) = yaml.safe_load((JENKINS / "gke" / "kustomization.yaml").read_text())["configMapGenerator"]
    given = dict(literal.split("=", 1) for literal in settings["literals"])
    found = []
    for template in templates:
        pod = yaml.safe_load(template["yaml"])["spec"]
        (container,) = pod["containers"]
        told = {one["name"]: one.get("value", "") for one in container.get("env", [])}
        file = told.get("TOKEN_FILE") or told.get("TRAINYARD_SERVING_TOKEN_FILE", "")
        for name, value in given.items():
            file = file.replace(f"${{{name}:-}}", value)
        secrets = {v["name"]: v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
        mounts = {m["mountPath"] for m in container["volumeMounts"] if secrets.get(m["name"]) == "adapter-client"}
        asks = template["label"] in ("trainyard-promote", "trainyard-rollout")
        if mounts != ({file.rpartition("/")[0]} if asks else set()):
            found.append(template["label"])
    return found


def test_who_asks_production_has_a_token_and_nobody_else():
    assert faults_of_tokens(templates()) == []
    for label, old, new in (
        ("trainyard-promote", "{name: adapter, mountPath: /run/secrets/adapter", "{name: tmp, mountPath: /elsewhere"),
        ("trainyard-promote", "${SERVING_TOKEN_FILE:-}", "/run/secrets/another/token"),
        ("trainyard-train", "secretName: trainyard-signing", "secretName: adapter-client"),
    ):
        broken = copy.deepcopy(templates())
        (template,) = [t for t in broken if t["label"] == label]
        assert old in template["yaml"]
        template["yaml"] = template["yaml"].replace(old, new)
        assert faults_of_tokens(broken) == [label]


def test_every_public_key_that_an_agent_has_counts():
    (variables,) = [p["envVars"]["env"] for p in read("common")["jenkins"]["globalNodeProperties"]]
    given = {v["key"]: v["value"] for v in variables}
    assert given["TRAINYARD_SIGNING_PUBLIC_KEYS"] == "${SIGNING_PUBLIC_KEYS:-}"
    text = (JENKINS / "gke" / "kustomization.yaml").read_text()
    (folder,) = re.findall(r"- SIGNING_PUBLIC_KEYS=(.*)", text)
    pods = [yaml.safe_load(t["yaml"])["spec"] for t in templates()]
    mounts = {m["mountPath"] for pod in pods for m in pod["containers"][0]["volumeMounts"] if m["name"] == "signing"}
    assert mounts == {folder}
    (private,) = re.findall(r"- SIGNING_KEY=(.*)", text)
    assert private.rpartition("/")[0] == folder


def manifests():
    names = yaml.safe_load((JENKINS / "gke" / "kustomization.yaml").read_text())["resources"]
    files = [name for name in names if name.endswith(".yaml")]
    return [m for name in files for m in yaml.safe_load_all((JENKINS / "gke" / name).read_text())]


def test_controller_on_kubernetes_is_closed_and_for_the_cluster_alone():
    (stateful,) = [m for m in manifests() if m["kind"] == "StatefulSet"]
    assert closed(stateful["spec"]["template"]["spec"]) == []
    assert [m["spec"]["type"] for m in manifests() if m["kind"] == "Service"] == ["ClusterIP"]
    # Tokens of the controller's accounts, which the cluster fills in.
    assert not [m for m in manifests() if m["kind"] == "Secret" and {"data", "stringData"} & m.keys()]


def test_manifests_are_rendered():
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed (Debian: apt-get install kubernetes-client); nothing was rendered")
    done = subprocess.run(["kubectl", "kustomize", JENKINS / "gke"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rendered = list(yaml.safe_load_all(done.stdout))
    spaces = {m["metadata"]["name"] for m in rendered if m["kind"] == "Namespace"}
    assert spaces == {"trainyard-ci", "trainyard-check", "trainyard-train", "trainyard-promotion", "trainyard-release"}
    # The last is production's, which is there before: what rolls out has a role in it.
    assert {m["metadata"]["namespace"] for m in rendered if m["kind"] != "Namespace"} == spaces | {"trainyard"}


def test_images_of_agents_are_a_setting_and_nothing_here_can_be_pulled_under_a_name_that_anybody_may_own():
    images = {c["image"] for t in templates() for c in yaml.safe_load(t["yaml"])["spec"]["containers"]}
    assert images == {"${AGENT_IMAGE}", "${AGENT_GPU_IMAGE:-unset.invalid/trainyard/jenkins-agent-gpu}"}
    (image,) = yaml.safe_load((JENKINS / "gke" / "kustomization.yaml").read_text())["images"]
    assert image["newName"].startswith("unset.invalid/")


def test_administrator_by_name_is_for_a_laptop_alone():
    """In a directory whoever is called so would be one."""
    entries = read("common")["jenkins"]["authorizationStrategy"]["projectMatrix"]["entries"]
    assert [entry["user"]["name"] for entry in entries if "user" in entry] == ["${ADMINISTRATOR:-nobody.invalid}"]
    (settings,) = yaml.safe_load((JENKINS / "gke" / "kustomization.yaml").read_text())["configMapGenerator"]
    assert not [literal for literal in settings["literals"] if literal.startswith("ADMINISTRATOR")]
    compose = yaml.safe_load((JENKINS / "compose.yaml").read_text())["services"]["controller"]
    (user,) = read("laptop")["jenkins"]["securityRealm"]["local"]["users"]
    assert compose["environment"]["ADMINISTRATOR"] == user["id"] == "${ADMINISTRATOR:-admin}"


def test_on_a_laptop_the_port_is_local_and_containers_are_closed():
    services = yaml.safe_load((JENKINS / "compose.yaml").read_text())["services"]
    assert services["controller"]["ports"] == ["127.0.0.1:8080:8080"]
    assert "ports" not in services["agent"]
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "user" not in service  # the images' own, which is not root
    assert re.findall(r"^USER (\S+)", (JENKINS / "agent" / "Dockerfile").read_text(), re.M) == ["1000:1000"] * 2


def references(*names):
    """Names that the configuration needs, and those it has a default for."""
    text = "\n".join((CASC / f"{name}.yaml").read_text() for name in names)
    lines = "\n".join(line.split("#")[0] for line in text.splitlines())
    found = REFERENCE.findall(lines)
    return {name for name, default in found if not default}


def test_everything_that_is_referred_to_is_given():
    compose = yaml.safe_load((JENKINS / "compose.yaml").read_text())["services"]["controller"]
    assert references("common", "laptop") <= {*compose["environment"], *compose["secrets"]}
    (settings,) = yaml.safe_load((JENKINS / "gke" / "kustomization.yaml").read_text())["configMapGenerator"]
    given = {literal.split("=")[0] for literal in settings["literals"]}
    secret = references("common", "gke") - given
    assert secret == {"REPOSITORY_KEY", "LDAP_MANAGER_PASSWORD"}
    page = (JENKINS.parents[1] / "docs" / "operations" / "jenkins.md").read_text()
    # The last is read by the seed's script.
    assert all(name in page for name in secret | {"REQUEST_TOKEN"})
    assert "REQUEST_TOKEN" in compose["secrets"]


def test_no_secret_is_written_down():
    secret = re.compile(r"(password|secret|privatekey|token)$", re.I)
    values = {path: value for name in FILES for path, value in leaves_of_lists(read(name)) if secret.search(path[-1])}
    assert len(values) >= 6
    assert all(REFERENCE.fullmatch(value) for value in values.values()), values


def leaves_of_lists(value, path=()):
    if isinstance(value, dict):
        return [leaf for key in value for leaf in leaves_of_lists(value[key], (*path, key))]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in leaves_of_lists(item, (*path, str(i)))]
    return [(path, value)]


def test_plugins_and_base_images_are_pinned():
    lines = [
        line
        for line in (JENKINS / "controller" / "plugins.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert len(lines) >= 10
    assert all(re.fullmatch(r"[a-z-]+:[0-9][\w.]*", line) for line in lines)
    for file in ("controller/Dockerfile", "agent/Dockerfile"):
        images = re.findall(r"^FROM (\S+[:/]\S+)", (JENKINS / file).read_text(), re.M)
        assert images
        assert all(re.search(r":\d", image) for image in images), images


def test_whoever_may_answer_is_a_group_of_the_matrix_and_every_job_has_its_file():
    entries = read("common")["jenkins"]["authorizationStrategy"]["projectMatrix"]["entries"]
    groups = {entry["group"]["name"] for entry in entries if "group" in entry}
    files = {path.name: path.read_text() for path in JENKINS.glob("*enkinsfile")}
    submitters = {
        name for text in files.values() for who in re.findall(r"submitter '(.*)'", text) for name in who.split(",")
    }
    assert submitters == {"product-owners", "operators"}
    seed, jobs = ((JENKINS / "controller" / f"{name}.groovy").read_text() for name in ("seed", "jobs"))
    teams = set(re.findall(r"'((?:data|product)-\w+|operators)'", seed + jobs))
    assert submitters <= teams <= groups
    (table,) = re.findall(r"JOBS = \[\n(.*?)^\]", jobs, re.S | re.M)
    names = re.findall(r"^  '?([\w-]+)'?: \[(?:\n|')", table, re.M)
    assert {f"{name}.Jenkinsfile" for name in names} | {"Jenkinsfile"} == set(files)
    # Both scripts are in the image, where the seed looks for the other.
    dockerfile = (JENKINS / "controller" / "Dockerfile").read_text()
    assert "COPY seed.groovy jobs.groovy /usr/share/jenkins/casc/" in dockerfile
    assert "/usr/share/jenkins/casc/jobs.groovy" in seed
    (of_main,) = re.findall(r"^  (\w+): \['[^']*', 'main', ''", seed, re.M)
    assert f"job: '/{of_main}/main'" in files["request.Jenkinsfile"]
