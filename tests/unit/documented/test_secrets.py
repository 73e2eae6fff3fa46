"""docs/operations/secrets.md: what its commands leave in the cluster, of which the real kubectl makes the objects."""

import base64
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.manifests import ROOT, require_kubectl

PAGE = (ROOT / "docs" / "operations" / "secrets.md").read_text()
# `replace` keeps what it is given, and replaces nothing that is not there; anything else is kubectl's own.
KUBECTL = """#!/bin/sh
case "$*" in
*"create "*"--dry-run=client"*) exec "$REAL" "$@" ;;
"replace -f -")
  cat > "$CLUSTER/new"
  name=$(grep -E "^  (name|namespace):" "$CLUSTER/new" | awk '{print $2}' | sort | tr "\\n" " ")
  [ -e "$CLUSTER/$name" ] || { echo "$name not found" >&2; exit 1; }
  mv "$CLUSTER/new" "$CLUSTER/$name" ;;
*"patch secret jenkins-secrets --patch-file /dev/stdin") cat > "$CLUSTER/patched" ;;
*"rollout restart"*) ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""
MAILING = [f"smtp trainyard-{name}" for name in ("jobs", "promotion", "train")]
PUBLIC = [f"signing-public trainyard-{name}" for name in ("jobs", "promotion")]
RELEASE = [f"{name} trainyard-release" for name in ("images-signing", "images-public", "adapter-client")]
TOKENS = ["adapter-tokens trainyard", "adapter-client trainyard-promotion"]
OBJECTS = ["signing trainyard-jobs", "trainyard-signing trainyard-train", *PUBLIC, *RELEASE, *TOKENS, *MAILING]


def blocks(heading: str) -> list[str]:
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```$", section, re.S | re.M)


class Yard:
    def __init__(self, folder: Path) -> None:
        self.folder, self.cluster, self.keys = folder, folder / "cluster", folder / ".trainyard" / "keys"
        for made in (self.cluster, self.keys, folder / "bin"):
            made.mkdir(parents=True)
        for name in OBJECTS:
            (self.cluster / f"{name} ").touch()
        for name, text in (("bin/kubectl", KUBECTL), ("pants", "#!/bin/sh\n")):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        for command in (
            "openssl ecparam -name prime256v1 -genkey -noout -out signing.pem",
            "openssl ec -in signing.pem -pubout -out signing.pub",
        ):
            subprocess.run(command.split(), cwd=self.keys, check=True, capture_output=True)

    def run(self, script: str, given: str = "") -> None:
        real = subprocess.run(["which", "kubectl"], capture_output=True, text=True).stdout.strip()
        environment = {**os.environ, "REAL": real, "CLUSTER": str(self.cluster)}
        environment["PATH"] = f"{self.folder / 'bin'}:{environment['PATH']}"
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=self.folder, env=environment, input=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def held(self, name: str) -> dict[str, str]:
        found = yaml.safe_load((self.cluster / f"{name} ").read_text())
        if found["kind"] == "ConfigMap":
            return dict(found["data"])
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    def key(self, name: str) -> str:
        return (self.keys / name).read_text()


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    require_kubectl()
    return Yard(tmp_path)


def test_signing_key_is_changed_with_both_counting_in_between(yard: Yard) -> None:
    both, private, last = blocks("The key that signs models")
    yard.run(both + private)
    publics = {name: yard.key(name) for name in ("signing.pub", "signing-2.pub")}
    assert publics["signing.pub"] != publics["signing-2.pub"]
    for namespace in ("trainyard-jobs", "trainyard-promotion"):
        assert yard.held(f"signing-public {namespace}") == publics
    assert yard.held("signing trainyard-jobs") == {"signing.pem": yard.key("signing-2.pem")}
    new = {"signing.pem": yard.key("signing-2.pem")}
    assert yard.held("trainyard-signing trainyard-train") == {**publics, **new}
    function = re.search(r"^trust\(\) .*?^\}\n", both, re.S | re.M)
    assert function
    yard.run(f"{function[0]}cd .trainyard/keys\n{last.replace('./pants', '../../pants')}")
    del publics["signing.pub"]
    for namespace in ("trainyard-jobs", "trainyard-promotion"):
        assert yard.held(f"signing-public {namespace}") == publics
    assert yard.held("trainyard-signing trainyard-train") == {**publics, **new}


def test_key_of_images_is_changed_in_both_its_halves(yard: Yard) -> None:
    yard.run("".join(blocks("The key that signs images")))
    assert yard.held("images-signing trainyard-release") == {"images.pem": yard.key("images-2.pem")}
    # All that the agent's folder of keys holds, so the old one counts no more.
    assert yard.held("images-public trainyard-release") == {"images-2.pub": yard.key("images-2.pub")}


def test_tokens_are_changed_with_both_counting_in_between(yard: Yard) -> None:
    for name in ("me", "promotions", "roll-outs"):
        (yard.keys / f"token-{name}").write_text(f"old-token-of-{name}\n")
    both, shown, last = blocks("The tokens of those who ask")

    def counting() -> set[str]:
        return set(yard.held("adapter-tokens trainyard")["tokens"].split())

    yard.run(both)
    old = {f"old-token-of-{name}" for name in ("me", "promotions", "roll-outs")}
    assert old < counting() and len(counting()) == 5
    function = re.search(r"^tokens\(\) .*\n", both, re.M)
    assert function
    yard.run(f"cd .trainyard/keys\n{shown}")
    for namespace, name in (("trainyard-promotion", "promotions"), ("trainyard-release", "roll-outs")):
        new = yard.held(f"adapter-client {namespace}")["token"].strip()
        assert new in counting() - old and new == yard.key(f"token-{name}").strip()
    yard.run(f"{function[0]}cd .trainyard/keys\n{last}")
    assert len(counting()) == 3 and counting() & old == {"old-token-of-me"}


def test_password_is_changed_wherever_mail_is_sent_from(yard: Yard) -> None:
    yard.run("".join(blocks("The mail server's password")), given='s3"cret\n')
    for namespace in ("trainyard-jobs", "trainyard-promotion", "trainyard-train"):
        assert yard.held(f"smtp {namespace}") == {"password": 's3"cret'}
    patched = yaml.safe_load((yard.cluster / "patched").read_text())["data"]["SMTP_PASSWORD"]
    assert base64.b64decode(patched).decode() == 's3"cret'


def test_page_names_every_namespace_that_mounts_these(yard: Yard) -> None:
    """Those of the manifests and of Jenkins' agents; a further one has to be changed too."""
    casc = (ROOT / "infra" / "jenkins" / "controller" / "casc" / "gke.yaml").read_text()
    having: dict[str, set[str]] = {}
    for cloud in yaml.safe_load(casc)["jenkins"]["clouds"]:
        for template in cloud["kubernetes"]["templates"]:
            for name in re.findall(
                r"(?:secretName|configMap: \{name|secretKeyRef: \{name): ([\w-]+)", template["yaml"]
            ):
                having.setdefault(name, set()).add(cloud["kubernetes"]["namespace"])
    for name, namespaces in having.items():
        for namespace in namespaces:
            assert f"{name} {namespace}" in OBJECTS, (name, namespace)
