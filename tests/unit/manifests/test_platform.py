"""Terraform and the manifests name the same things. The files are read as text: Google's provider is not at hand."""

import ipaddress
import re

import pytest
import yaml

from pipeline import ledger
from registry.staging import STAGING
from settings import Settings
from tests.manifests import ALL, ROOT, of_kind, render

TERRAFORM = ROOT / "infra" / "terraform"


def text(name):
    """By the usual name of an installation."""
    return (
        (TERRAFORM / f"{name}.tf")
        .read_text()
        .replace("${var.name}", "trainyard")
        .replace("= var.name\n", '= "trainyard"\n')
    )


def grants():
    """Account -> folder -> what it may do, from the tables in buckets.tf."""

    def rights(table):
        return dict(re.findall(r'"?([.\w]+)"?\s*= local\.(\w+)', table))

    shared, table = text("rights").split("grants = {")
    roles = {
        f"local.{name}": rights(inner) for name, inner in re.findall(r"^  (\w+) = \{(.*?)^  \}", shared, re.S | re.M)
    }
    rows = re.findall(r'"([\w-]+/[\w-]+)"\s*= (local\.\w+|\{.*?\})', table.split("\n  # Model ->")[0])
    return {account: roles[value] if value in roles else rights(value) for account, value in rows}


def service_accounts():
    found = {
        f"{account['metadata']['namespace']}/{account['metadata']['name']}"
        for folder in ALL
        for account in of_kind(render(folder), "ServiceAccount")
    }
    jenkins = yaml.safe_load_all((ROOT / "infra" / "jenkins" / "gke" / "agents.yaml").read_text())
    agents = [a["metadata"] for a in jenkins if a["kind"] == "ServiceAccount"]
    return found | {f"{about['namespace']}/{about['name']}" for about in agents}


def test_rights_are_given_to_accounts_that_there_are():
    assert len(grants()) == 8
    assert grants().keys() <= service_accounts()


def test_whoever_publishes_models_can_stage_them():
    # A promotion copies within the bucket, and stages nothing.
    for account, folders in grants().items():
        assert (folders.get(STAGING) == "writes") == (folders.get("testing") == "writes"), account


def test_only_promotions_and_gc_write_what_is_served():
    writers = {account for account, folders in grants().items() if folders.get("production") == "writes"}
    assert writers == {f"trainyard-promotion/{name}" for name in ("promote", "trainyard-promote", "gc")}


def test_serving_reads_what_it_serves_and_nothing_else():
    # In production each model's pods read that model's: test_models.py.
    assert "trainyard/serving" not in grants()
    assert "{ (local.serving[model]) = { production = local.reads } }" in text("rights")
    assert grants()["trainyard-staging/serving"] == {"testing": "reads"}


def test_promotions_do_not_write_models_that_are_tested_and_pipelines_do():
    for account, folders in grants().items():
        if "promote" in account:
            assert folders["testing"] == "reads"
        elif "check" not in account and "serving" not in account:
            assert folders["testing"] == "writes"


def test_what_became_of_a_push_is_kept_by_who_trains_and_read_by_who_plans():
    folder = ledger.KEY.partition("/")[0]
    rights = {account: folders[folder] for account, folders in grants().items() if folder in folders}
    checks = ("trainyard-check/trainyard-check", "trainyard-train/trainyard-check")
    assert rights == {"trainyard-train/trainyard-train": "writes", **dict.fromkeys(checks, "reads")}
    # Checks, a branch's too, run as the latter: nothing else of a model is theirs.
    assert all(set(grants()[account]) == {folder} for account in checks)


@pytest.mark.parametrize("name", ["trainyard"])
def test_gateway_finds_its_address_and_certificate(name):
    (gateway,) = of_kind(render("overlays/production"), "Gateway")
    assert gateway["metadata"]["annotations"]["networking.gke.io/certmap"] == name
    assert gateway["spec"]["addresses"] == [{"type": "NamedAddress", "value": name}]
    for resource in ("google_compute_global_address", "google_certificate_manager_certificate_map"):
        assert re.search(rf'resource "{resource}" "this" {{\n  name\s+= "{name}"', text("address"))


def test_googles_apis_are_where_the_network_policies_let_pods_go():
    addresses = re.findall(r'"(199\.[\d.]+)"', text("network"))
    allowed = {
        ipaddress.ip_network(peer["ipBlock"]["cidr"])
        for policy in of_kind(render("overlays/production"), "NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        if "ipBlock" in peer
    }
    assert len(addresses) == 4
    for address in addresses:
        assert any(ipaddress.ip_address(address) in network for network in allowed)


def test_first_model_has_one_name():
    default = re.search(r'variable "model" \{.*?default\s+= "([\w-]+)"', text("variables"), re.S)
    (site,) = [
        m["data"] for m in of_kind(render("overlays/production"), "ConfigMap") if "TRAINYARD_MODEL_NAME" in m["data"]
    ]
    assert default and default[1] == site["TRAINYARD_MODEL_NAME"] == Settings().model.name


def outgoing(network, outputs):
    """The address that the cluster calls the world from, if it stays and is told."""
    option = re.search(r'nat_ip_allocate_option\s*= "(\w+)"', network)
    address = re.search(r"nat_ips\s*= \[(google_compute_address\.\w+)\.self_link\]", network)
    told = re.search(r'output "outgoing" \{\n\s+value\s+= (\S+)\.address\n', outputs)
    if not (option and option[1] == "MANUAL_ONLY" and address and told and told[1] == address[1]):
        return None
    return address[1]


def test_what_rolls_programs_out_comes_from_an_address_that_can_be_let_through():
    """It asks the service by its public name, where Cloud Armor lets through whom `callers` names."""
    network, outputs = text("network"), text("outputs")
    assert outgoing(network, outputs) == "google_compute_address.nat"
    assert 'resource "google_compute_address" "nat"' in network
    page = (ROOT / "docs" / "operations" / "jenkins.md").read_text()
    assert "`outgoing` into `callers`" in page
    assert outgoing(network.replace("MANUAL_ONLY", "AUTO_ONLY"), outputs) is None
    assert outgoing(network, outputs.replace("google_compute_address.nat", "google_compute_address.other")) is None
