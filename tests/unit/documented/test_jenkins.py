"""docs/operations/jenkins.md, executed on stand-ins: on a laptop, and behind gke.md up to the controller's start.

A step that would stop stops the test: a namespace that is not there yet, a secret that a pod waits for, an image that
was not pushed, a setting that nothing gives or that is still the example.
"""

import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from testkit.cluster import Cluster, waits_for
from tests.manifests import ROOT, require_kubectl
from tests.unit.documented.yard import SECTIONS, Yard, blocks

# In example.com nobody can be reached; a value that is left there is refused.
PLACE = ("example.com", "example.org")
LAPTOP = blocks("jenkins", "On a laptop").replace(*PLACE)
STEPS = blocks("jenkins", "Images", "Addresses", "Secrets", "Its start").replace(
    "ssh-keyscan example.com", "ssh-keyscan example.org"
)
ASKING = blocks("jenkins", "The jobs")
TYPED = "of-the-directory\ntrainyard\nof-the-mail-server\n"
# What somebody does in an editor.
EDIT = """#!/bin/sh
sed -Ei '/- (JENKINS_URL|REPOSITORY_URL|ENGINEERS|SMTP_HOST|MAIL_SENDER|LDAP_.*)=/s/example([.]|,dc=)com/example\\1org/g
  s/tcp:..unset.invalid/tcp:\\/\\/engine.example.org/' "$1"
"""


class Machine:
    """Of somebody who has an editor, and a key that may read the repository."""

    def __init__(self, yard: Yard) -> None:
        self.folder, self.run, self.git, self._world = yard.folder, yard.run, yard.git, yard.world
        yard.program(yard.bin / "edit", EDIT)
        (yard.home / ".ssh").mkdir()
        (yard.home / ".ssh" / "a-key-that-may-read-the-repository").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")

    @property
    def now(self) -> dict:
        return dict(json.loads(self._world.read_text()))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    require_kubectl()
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed (Debian: openssh-client); the commands were not tried")
    return Machine(Yard(tmp_path))


@pytest.fixture
def cloud(after: Callable[[int], Yard]) -> Machine:
    """Where gke.md has been followed."""
    return Machine(after(len(SECTIONS)))


SHELL = "export EDITOR=edit PROJECT=my-trainyard REGION=europe-west4 HOST=classifier.example.org\n"


def agents_that_wait(machine: Machine) -> list[str]:
    """Of each kind of agent what its pod names and the cluster has not."""
    casc = (machine.folder / "infra/jenkins/controller/casc/gke.yaml").read_text()
    cluster = Cluster({tuple(key.split("/")): found for key, found in machine.now["objects"].items()})  # type: ignore[misc]
    found = []
    for cloud in (one["kubernetes"] for one in yaml.safe_load(casc)["jenkins"]["clouds"]):
        for template in cloud["templates"]:
            pod = {"serviceAccountName": template["serviceAccount"], **yaml.safe_load(template["yaml"])["spec"]}
            missing = waits_for(cluster, pod, cloud["namespace"])
            volumes = {v["name"]: v for v in pod["volumes"]}
            # A file that a variable names is a key of what is mounted there.
            for variable in pod["containers"][0].get("env", []):
                file = Path(
                    re.sub(r"\$\{(\w+):-\}", lambda m: machine.now["jenkins"].get(m[1], ""), variable.get("value", ""))
                )
                for mount in pod["containers"][0]["volumeMounts"]:
                    if (
                        str(file.parent) == mount["mountPath"]
                        and {"secret", "configMap"} & volumes[mount["name"]].keys()
                    ):
                        source = volumes[mount["name"]]
                        kind = "Secret" if "secret" in source else "ConfigMap"
                        name = source["secret"]["secretName"] if "secret" in source else source["configMap"]["name"]
                        there = cluster.find(cloud["namespace"], kind, name) or {"data": {}}
                        missing += [] if file.name in there["data"] else [f"{name}: {file.name}"]
            found += [f"{template['name']}: {one}" for one in missing]
    return found


def test_controller_starts_and_no_agent_waits_for_anything(cloud: Machine) -> None:
    done = cloud.run(SHELL + STEPS, TYPED)
    assert done.returncode == 0, done.stderr[-2000:]
    assert agents_that_wait(cloud) == []
    objects = cloud.now["objects"]
    # Those who asked before go on: the Secret has a token more.
    held = base64.b64decode(objects["trainyard/Secret/adapter-tokens"]["data"]["tokens"]).decode().split()
    assert len(held) == 3
    shown = base64.b64decode(objects["trainyard-release/Secret/adapter-client"]["data"]["token"]).decode().strip()
    assert shown in held
    given = cloud.now["jenkins"]
    assert given["LDAP_MANAGER_PASSWORD"] == "of-the-directory"
    assert (given["SMTP_USER"], given["SMTP_PASSWORD"]) == ("trainyard", "of-the-mail-server")
    # The registry's clean-up keeps them.
    assert any(image.partition(":")[2].startswith("pinned-") for image in cloud.now["pushed"] if "/jenkins:" in image)
    asking = f"export JENKINS_URL=https://jenkins.example.org REQUEST_TOKEN={given['REQUEST_TOKEN'].strip()}\n{ASKING}"
    done = cloud.run(asking)
    assert done.returncode == 0, done.stderr
    assert cloud.now["asked"]["model"] == "digits"


def cut(pattern: str) -> "tuple[str, str]":
    return pattern, ""


# What is done to the commands, and what is said then.
FAULTS = {
    "secrets before namespaces": (
        (r"(kubectl apply -k infra/jenkins/gke\n)(.*)\Z", r"\2\1"),
        'namespaces "trainyard-ci" not found',
    ),
    "no digest of the agents": ((r"s\|AGENT_IMAGE=unset", "s|AGENT_IMAGE=never"), "AGENT_IMAGE is 'unset'"),
    "controller is not pushed": (cut(r'docker push "\$IMAGES/jenkins:\$TAG"\n'), "ErrImagePull"),
    "a stage that is none": (("--target inbound", "--target outbound"), "target stage outbound"),
    "no known hosts": (cut(r"--from-file=KNOWN_HOSTS "), "KNOWN_HOSTS"),
    "another server's hosts": (
        ("ssh-keyscan example.org", "ssh-keyscan elsewhere.org"),
        "Host key verification failed",
    ),
    "nothing is edited": ((r'"\$\{EDITOR:-vi\}".*\n', ""), "still the example: ['BUILD_ENGINE'"),
    "the page's host stays": (cut(r"; s\|classifier\.example\.com\|\$HOST\|"), "still the example: ['SERVING_ADDRESS'"),
    "bucket's name stays": (
        cut(r"  s\|example-trainyard-registry\|\$PROJECT-registry\|;"),
        "still the example: ['REGISTRY_URI'",
    ),
    "no password of the directory": (cut(r" --from-file=LDAP_MANAGER_PASSWORD"), "['LDAP_MANAGER_PASSWORD']"),
    "controller has no secret": ((r"kubectl -n trainyard-ci create secret(.*?)\n\)", r"true\1\n)"), "not found"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_step_that_would_stop_stops(cloud: Machine, fault: str) -> None:
    (pattern, new), said = FAULTS[fault]
    broken = re.sub(pattern, new, STEPS, flags=re.S if "\\Z" in pattern or "create secret" in pattern else 0)
    assert broken != STEPS
    done = cloud.run(SHELL + broken, TYPED)
    assert done.returncode and said in done.stderr, done.stderr[-2000:]


# The object that is not made -> who waits.
AGENTS = {
    "-n trainyard-release create secret generic images-signing": "build: Secret images-signing",
    "-n trainyard-release create secret generic adapter-client": "rollout: Secret adapter-client",
    "-n trainyard-train create secret generic trainyard-signing": "train: Secret trainyard-signing",
}


def test_agents_that_would_wait_are_found(cloud: Machine) -> None:
    broken = STEPS
    for made in AGENTS:
        shorter = re.sub(rf" *kubectl {made}(.*\\\n)*.*\n", "", broken)
        assert shorter != broken
        broken = shorter
    done = cloud.run(SHELL + broken, TYPED)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(AGENTS.values()) <= set(agents_that_wait(cloud))


def test_laptops_controller_starts(machine: Machine) -> None:
    done = machine.run(LAPTOP)
    assert done.returncode == 0, done.stderr[-2000:]
    assert machine.now["jenkins"]["REPOSITORY_URL"] == "git@example.org:you/trainyard.git"
    # Nothing of it is committed.
    machine.git("add", "-A")
    machine.git("diff", "--cached", "--exit-code")


LAPTOPS = {
    "a key that the container may not read": (r"chmod 644 secrets/\*.*\n", "permission denied"),
    "no administrator": (r"openssl rand -hex 16 .*\n", "secrets/ADMINISTRATOR_PASSWORD"),
    "no key for the agent": (r"ssh-keygen .*\n", "secrets/AGENT_KEY"),
    "no repository": (r"REPOSITORY_URL=\S+ ", "required variable REPOSITORY_URL"),
    "no known hosts": (r"ssh-keyscan .*\n", "secrets/KNOWN_HOSTS"),
}


@pytest.mark.parametrize("fault", LAPTOPS)
def test_laptops_step_that_would_stop_stops(machine: Machine, fault: str) -> None:
    pattern, said = LAPTOPS[fault]
    broken = re.sub(pattern, "", LAPTOP)
    assert broken != LAPTOP
    done = machine.run(broken)
    assert done.returncode and said in done.stderr, done.stderr[-2000:]


def test_every_block_of_the_page_is_executed() -> None:
    """A further one has to be put among the sections above."""
    text = (ROOT / "docs" / "operations" / "jenkins.md").read_text()
    found = re.findall(r"^```\n(.*?)^```$", text, re.S | re.M)
    executed = "\n".join([LAPTOP, STEPS, ASKING]).replace(*reversed(PLACE))
    assert len(found) >= 7 and all(block in executed for block in found)
