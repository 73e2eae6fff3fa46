"""Rules and dashboard speak of metrics that the adapter has; promtool, where it is, tries the alerts."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from serving.adapter.admission import Admission
from serving.adapter.metrics import Metrics
from tests.manifests import ROOT, of_kind, render

PLACE = ROOT / "infra" / "observability"
RULES = yaml.safe_load((PLACE / "rules.yaml").read_text())["groups"]
EVERY = [rule for group in RULES for rule in group["rules"]]
ALERTS = [rule for rule in EVERY if "alert" in rule]
NAME = re.compile(r"\btrainyard[a-z0-9_:]*")


def exported():
    """Names as Prometheus sees them, from the adapter's own /metrics."""
    metrics = Metrics(Admission(1, 1))
    sums = ["_count", "_sum"]
    found = set()
    for family in metrics.registry.collect():
        endings = {"counter": ["_total"], "histogram": ["_bucket", *sums], "summary": sums}.get(family.type, [""])
        found |= {family.name + ending for ending in endings}
    return found


def recorded():
    return {rule["record"] for rule in EVERY if "record" in rule}


def test_rules_speak_of_metrics_that_there_are():
    for rule in EVERY:
        assert set(NAME.findall(rule["expr"])) <= exported() | recorded(), rule


def test_dashboard_speaks_of_metrics_that_there_are():
    panels = json.loads((PLACE / "dashboard.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    for expression in expressions:
        assert NAME.findall(expression)
        assert set(NAME.findall(expression)) <= exported() | recorded(), expression
    # Nothing that is counted is missing from it.
    shown = set(NAME.findall(" ".join(expressions + [rule["expr"] for rule in EVERY])))
    families = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in exported()}
    assert families <= {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in shown}


def test_labels_in_rules_are_those_of_the_metrics():
    metrics = Metrics(Admission(1, 1))
    with metrics.request("Classify"):
        pass
    text = metrics.text().decode()
    assert 'trainyard_requests_total{code="OK",method="Classify",version="none"}' in text
    # The objective's second is a bucket's edge, or no rule could count by it.
    assert 'le="1.0"' in text and 'le="1.0"' in (PLACE / "rules.yaml").read_text()


def test_every_alert_has_its_section_in_the_runbook_and_no_other_has():
    page = (ROOT / "docs" / "operations" / "runbook.md").read_text()
    sections = re.findall(r"^## (Trainyard\w+)\n\n\*(\w+)\.\*", page, re.M)
    assert dict(sections) == {alert["alert"]: alert["labels"]["severity"].capitalize() for alert in ALERTS}
    for alert in ALERTS:
        assert alert["annotations"]["runbook"] == f"docs/operations/runbook.md#{alert['alert'].lower()}"


def test_cluster_is_given_the_same_rules():
    (rules,) = of_kind(render("overlays/production"), "Rules")
    assert rules["spec"]["groups"] == RULES


def test_cluster_reads_the_adapters_port():
    (monitoring,) = of_kind(render("overlays/production"), "PodMonitoring")
    (endpoint,) = monitoring["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("metrics", "/metrics")


@pytest.mark.parametrize("arguments", [["check", "rules", "rules.yaml"], ["test", "rules", "rules_test.yaml"]])
def test_promtool_is_content(arguments):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: in the package prometheus); the alerts were not tried")
    done = subprocess.run(["promtool", *arguments], cwd=PLACE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried():
    tests = yaml.safe_load((PLACE / "rules_test.yaml").read_text())["tests"]
    fired = {t["alertname"] for test in tests for t in test.get("alert_rule_test", []) if t.get("exp_alerts")}
    assert fired == {alert["alert"] for alert in ALERTS}
