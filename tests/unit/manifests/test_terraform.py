"""The first `terraform apply`: what every resource waits for. Terraform itself would need Google's provider."""

import re

import pytest

from tests.terraform import TERRAFORM

API = "google_project_service.api"
# First words of a resource's type -> the API that makes it (as the provider's documentation says of each).
APIS = {
    "artifact_registry": "artifactregistry",
    "billing": "billingbudgets",
    "certificate_manager": "certificatemanager",
    "compute": "compute",
    "container": "container",
    "dns": "dns",
    "project_iam": "cloudresourcemanager",
    "service_account": "iam",
    "storage": "storage",
}
# Enabled by hand before Terraform is called at all (docs/operations/gke.md).
BEFORE = {"cloudresourcemanager", "serviceusage", "storage"}


def blocks(text: str, kind: str) -> dict[str, str]:
    """TYPE.NAME -> the body of each block of a kind; a body ends at the first brace that begins a line."""
    found = re.findall(rf'^{kind} "(\w+)" "(\w+)" \{{\n(.*?)^\}}', text, re.S | re.M)
    return {f"{type_}.{name}": body for type_, name, body in found}


def waits(text: str) -> dict[str, set[str]]:
    """Resource -> every resource and data source that it refers to, by itself or through locals."""
    own = {**blocks(text, "resource"), **{f"data.{name}": body for name, body in blocks(text, "data").items()}}
    inner = re.findall(r"^locals \{\n(.*?)^\}", text, re.S | re.M)
    local = {
        name: value
        for body in inner
        for name, value in re.findall(r"^  (\w+)\s*=(.*?)(?=^  \w+\s*=|\Z)", body, re.S | re.M)
    }

    def named(body: str, seen: frozenset[str] = frozenset()) -> set[str]:
        names = {name for name in own if re.search(rf"(?<![\w.]){re.escape(name)}\b", body)}
        for of in {*re.findall(r"\blocal\.(\w+)", body)} & local.keys() - seen:
            names |= named(local[of], seen | {of})
        return names

    return {name: named(body) - {name} for name, body in own.items()}


def not_waiting(text: str) -> list[str]:
    """The resources that may be made before their API is enabled."""
    direct = waits(text)
    found = []
    for name in blocks(text, "resource"):
        reached, new = set(), {name}
        while new:
            reached |= new
            new = {other for one in new for other in direct[one]} - reached
        if name != API and API not in reached:
            found.append(name)
    return found


def everything() -> str:
    return "\n".join(re.sub(r"#.*", "", path.read_text()) for path in sorted(TERRAFORM.glob("*.tf")))


def test_every_resource_waits_for_the_apis() -> None:
    assert len(blocks(everything(), "resource")) > 20
    assert not_waiting(everything()) == []


@pytest.mark.parametrize(
    "resource", ["google_service_account.nodes", "google_certificate_manager_certificate_map.this"]
)
def test_resource_that_waits_for_nothing_would_be_found(resource: str) -> None:
    text = everything()
    body = blocks(text, "resource")[resource]
    broken = text.replace(body, re.sub(r"  depends_on.*\n", "", body))
    assert broken != text and resource in not_waiting(broken)


def test_every_resource_has_its_api_among_those_that_are_enabled() -> None:
    listed = re.search(r"apis = \[(.*?)\]", everything(), re.S)
    assert listed
    enabled = set(re.findall(r'"(\w+)"', listed[1])) | BEFORE
    page = (TERRAFORM.parents[1] / "docs" / "operations" / "gke.md").read_text()
    assert all(f"{api}.googleapis.com" in page for api in BEFORE)
    for resource in blocks(everything(), "resource"):
        if resource != API:
            (api,) = {api for words, api in APIS.items() if resource.startswith(f"google_{words}")}
            assert api in enabled, resource
