"""Every key of Terraform's resources and of the gateway's objects is one that Google's provider and cluster know."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests import OVERLAYS, SERVED, of_kind, render
from tests.terraform import TERRAFORM

KNOWN = yaml.safe_load((Path(__file__).parent / "google_keys.yaml").read_text())
# Of every resource, whichever provider makes it.
COMMON = {"for_each", "count", "depends_on", "provider", "lifecycle"}


def faults(value: Any, known: Any, path: str) -> list[str]:
    """Where `value` has a key that is not known, lacks one, or has another word than those that are."""
    if isinstance(value, list):
        return [fault for item in value for fault in faults(item, known, path)]
    if isinstance(known, list):
        return [] if value in known else [f"{path}: {value}"]
    if not isinstance(known, dict):
        return []
    if not isinstance(value, dict):
        return [f"{path}: no keys"]
    named = {key.rstrip("!"): of for key, of in known.items()}
    found = [f"{path}.{key}: not known" for key in value.keys() - named.keys()]
    found += [f"{path}.{key[:-1]}: missing" for key in known if key.endswith("!") and key[:-1] not in value]
    return found + [f for key in value.keys() & named.keys() for f in faults(value[key], named[key], f"{path}.{key}")]


def resources() -> dict[str, list[dict[str, Any]]]:
    """Type -> each resource of it as nested keys; of values nothing is kept."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(TERRAFORM.glob("*.tf")):
        text = re.sub(r'(^|\s)#[^"\n]*$', "", path.read_text(), flags=re.M)
        for type_, body in re.findall(r'^resource "(\w+)" "\w+" \{\n(.*?)^\}', text, re.S | re.M):
            found.setdefault(type_, []).append(tree(body.splitlines()))
    return found


def tree(lines: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    while lines:
        line = lines.pop(0).strip()
        if line == "}":
            break
        if attribute := re.match(r"(\w+)\s*=\s*(.*)", line):
            value = attribute[2]
            while sum(value.count(c) for c in "([{") > sum(value.count(c) for c in ")]}"):
                value += lines.pop(0)
            made[attribute[1]] = None
        elif dynamic := re.match(r'dynamic "(\w+)" \{', line):
            made.setdefault(dynamic[1], []).append(tree(lines)["content"][0])
        elif block := re.match(r"(\w+) \{(\s*\})?$", line):
            made.setdefault(block[1], []).append({} if block[2] else tree(lines))
        else:
            assert not line, line
    return made


def of_terraform(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    return [
        fault
        for type_, each in found.items()
        for resource in each
        for fault in faults({k: v for k, v in resource.items() if k not in COMMON}, KNOWN["terraform"][type_], type_)
    ]


def test_every_attribute_is_one_of_the_providers() -> None:
    found = resources()
    assert len(found) > 15
    assert of_terraform(found) == []


def test_misspelt_or_missing_attribute_would_be_found() -> None:
    found = copy.deepcopy(resources())
    (policy,) = found["google_compute_security_policy"]
    limit = policy["rule"][0]["rate_limit_options"][0]
    limit["rate_limit_treshold"] = limit.pop("rate_limit_threshold")
    place = "google_compute_security_policy.rule.rate_limit_options.rate_limit"
    assert sorted(of_terraform(found)) == [f"{place}_threshold: missing", f"{place}_treshold: not known"]


@pytest.mark.parametrize("folder", SERVED)
def test_objects_of_the_gateway_have_keys_that_it_knows(folder: str) -> None:
    for made in of_kind(render(folder), *KNOWN["kinds"]):
        plain = {key: value for key, value in made.items() if key != "metadata"}
        assert faults(plain, KNOWN["kinds"][made["kind"]], made["kind"]) == []


def test_key_that_the_gateway_does_not_know_would_be_found() -> None:
    policy = copy.deepcopy(of_kind(render("overlays/production"), "GCPBackendPolicy")[0])
    del policy["metadata"]
    policy["spec"]["default"]["security_policy"] = policy["spec"]["default"].pop("securityPolicy")
    policy["spec"]["default"]["sessionAffinity"] = {"type": "COOKIE"}
    del policy["spec"]["targetRef"]["kind"]
    assert sorted(faults(policy, KNOWN["kinds"]["GCPBackendPolicy"], "policy")) == [
        "policy.spec.default.security_policy: not known",
        "policy.spec.default.sessionAffinity.type: COOKIE",
        "policy.spec.targetRef.kind: missing",
    ]


def test_nobody_reaches_a_model_from_outside_past_the_policy_and_by_default_nobody_gets_through_it() -> None:
    text = (TERRAFORM / "address.tf").read_text()
    (body,) = re.findall(r'resource "google_compute_security_policy" "this" \{\n(.*?)^\}', text, re.S | re.M)
    assert re.search(r"^  name += var\.name$", body, re.M)
    variables = (TERRAFORM / "variables.tf").read_text()
    assert re.search(r'variable "name" \{[^}]*default += "trainyard"', variables)
    assert re.search(r'variable "callers" \{[^}]*default += \[\]\n', variables)
    # The last word, where no rule of a caller's matched.
    (last,) = re.findall(r"  rule \{\n(.*?)\n  \}\n", body, re.S)
    assert "priority    = 2147483647" in last and 'action      = "deny(403)"' in last and '["*"]' in last
    for folder in set(SERVED) - set(OVERLAYS) | {"overlays/production", "overlays/embedded"}:
        objects = render(folder)
        routed = {
            backend["name"]
            for route in of_kind(objects, "HTTPRoute")
            for rule in route["spec"]["rules"]
            for backend in rule["backendRefs"]
        }
        guarded = {
            policy["spec"]["targetRef"]["name"]
            for policy in of_kind(objects, "GCPBackendPolicy")
            if policy["spec"]["default"].get("securityPolicy") == "trainyard"
        }
        assert routed and routed <= guarded, folder
