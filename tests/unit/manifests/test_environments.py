"""Two installations side by side, as scripts/environment makes them: no name in common where they must not share it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import terraform
from tests.manifests import ROOT, built, require_kubectl

SCRIPT = ROOT / "scripts" / "environment"
FOLDERS = ("k8s/overlays/production", "k8s/overlays/staging", "k8s/jobs/namespace", "k8s/jobs/promotion", "k8s/jobs/gc",
           "k8s/jobs/drift", "k8s/models/digits", "jenkins/gke")  # fmt: skip


def make(name: str, folder: Path) -> Path:
    done = subprocess.run(
        [SCRIPT, name, f"{name}-bucket", f"{name}.example.com", folder], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / "infra"


def rendered(infra: Path) -> list[dict[str, Any]]:
    found = []
    for folder in FOLDERS:
        found += built(infra / folder)
    return found


def named(value: object, key: str = "") -> Iterator[str]:
    """Whatever in a manifest is the name of a namespace, or of something of the project, a bucket or a host."""
    if isinstance(value, dict):
        if value.get("type") == "NamedAddress":
            yield value["value"]
        if value.get("key") == "kubernetes.io/metadata.name":
            yield from value["values"]
        if value.get("kind") == "Namespace":
            yield value["metadata"]["name"]
        for inner, of in value.items():
            yield from named(of, inner)
    elif isinstance(value, list):
        for of in value:
            yield from named(of, key)
    elif isinstance(value, str):
        if key in (
            "namespace",
            "kubernetes.io/metadata.name",
            "networking.gke.io/certmap",
            "hostnames",
            "securityPolicy",
        ):
            yield value
        yield from re.findall(r"gs://[\w.-]+|\.([\w-]+)\.svc\b", value)


# Of the cluster itself, one for all.
SHARED = {"kube-system", "gmp-system", ""}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    require_kubectl()
    folder = tmp_path_factory.mktemp("environments")
    return {name: rendered(make(name, folder / name)) for name in ("dev", "live")}


def test_no_name_is_shared_that_must_not_be(two: dict[str, list[dict[str, Any]]]) -> None:
    for name, objects in two.items():
        names = {found for found in named(objects)} - SHARED
        assert len(names) >= 8
        other = {found for found in names if not re.match(rf"(gs://)?{name}(-|\.|$)", found)}
        assert other == set(), name
    identities = [
        {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects}
        for objects in two.values()
    ]
    assert len(identities[0]) == len(identities[1]) > 50
    assert not identities[0] & identities[1]


def test_accounts_are_those_that_terraform_gives_rights_to(
    two: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """A project knows an account by namespace and name alone: two installations with the same would share rights."""
    for name, objects in two.items():
        accounts = {
            f"{o['metadata']['namespace']}/{o['metadata']['name']}" for o in objects if o["kind"] == "ServiceAccount"
        }
        assert set(terraform.evaluate(tmp_path, "local.accounts", f"-var=name={name}")) <= accounts


def test_agents_of_jenkins_are_made_in_its_own_namespaces(tmp_path: Path) -> None:
    infra = make("dev", tmp_path / "dev")
    casc = yaml.safe_load((infra / "jenkins/controller/casc/gke.yaml").read_text())
    clouds = [cloud["kubernetes"] for cloud in casc["jenkins"]["clouds"]]
    assert {cloud["namespace"] for cloud in clouds} == {"dev-check", "dev-train", "dev-promotion", "dev-release"}
    assert {cloud["jenkinsUrl"] for cloud in clouds} == {"http://jenkins.dev-ci.svc:8080/"}


def test_installation_with_todays_names_is_unchanged(tmp_path: Path) -> None:
    subprocess.run(
        [SCRIPT, "trainyard", "example-trainyard-registry", "classifier.example.com", tmp_path / "same"], check=True,
        capture_output=True,
    )  # fmt: skip
    compared = 0
    for file in (tmp_path / "same" / "infra").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (ROOT / file.relative_to(tmp_path / "same")).read_bytes(), file
            compared += 1
    assert compared > 80


def test_what_is_no_name_and_what_is_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name, folder in (("Dev", "dev"), ("dev_1", "dev"), ("dev", "mine")):
        done = subprocess.run([SCRIPT, name, "b1", "h", tmp_path / folder], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.startswith("error: "), (name, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_resources_of_the_project_are_called_by_the_installations_name() -> None:
    """But for the default, which is today's name."""
    text = "\n".join(path.read_text() for path in sorted(terraform.TERRAFORM.glob("*.tf")))
    (default,) = re.findall(r'variable "name" \{\n\s+type\s+= string\n\s+default\s+= "(.*)"', text)
    assert default == "trainyard"
    resources = re.sub(r"#.*", "", text.replace(f'default     = "{default}"', ""))
    # A label on the cluster, the key of labels and taints on nodes, and the usual prefix of the state.
    others = re.findall(r'^(.*)"trainyard\b(?!\.dev)', resources, re.M)
    assert [line.strip() for line in others] == [
        'resource_labels             = { app =', 'name       = var.name ==', "prefix =",
    ]  # fmt: skip
    assert text.count("var.name") > 20
