"""Several models in one cluster: pods, ways in and rights of their own; a further one costs what the page says."""

import json
import re
import shutil
from functools import partial
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from models import known
from serving.adapter.v2_grpc import NAME as INFERENCE
from tests import terraform
from tests.manifests import K8S, MODELS, ROOT, built, containers, of_kind, pod_of, pods, render

FIRST = "overlays/production"
HOST = "classifier.example.com"
LABEL = "trainyard.dev/model"
TERRAFORM = ROOT / "infra" / "terraform"
PUBLIC = (
    "/trainyard.v1.Classifier/",
    "/inference.GRPCInferenceService/",
    "/grpc.health.v1.Health/",
    "/",
    "/v1/",
    "/v2",
    "/v2/",
    "/page/",
    "/models",
    "/problems/",
    "/docs",
    "/openapi.json",
)


def settings_of(objects):
    (found,) = [m["data"] for m in of_kind(objects, "ConfigMap") if "TRAINYARD_MODEL_NAME" in m["data"]]
    return found


def model_of(objects):
    return settings_of(objects)["TRAINYARD_MODEL_NAME"]


def names():
    return {model.name for model in known(ROOT)}


def all_served():
    return {model_of(render(folder)): render(folder) for folder in (FIRST, *MODELS)}


def test_every_model_that_is_served_is_the_repositorys_has_folders_in_the_bucket_and_is_looked_at():
    served = all_served().keys()
    # Not the other way round: a model that somebody begins is not in the cluster yet.
    assert {"chest-xray", "digits"} <= served <= names()
    listed = re.search(r'variable "models" \{.*?default\s+= (\[.*?\])', (TERRAFORM / "variables.tf").read_text(), re.S)
    assert listed and set(json.loads(listed[1])) == served
    (job,) = yaml.safe_load((ROOT / "infra/observability/scrape.yaml").read_text())["scrape_configs"]
    adapters = {host.partition(".")[0] for host in job["dns_sd_configs"][0]["names"]}
    assert adapters == {f"{name}-adapter" for name in served}


def test_each_models_objects_have_names_of_their_own():
    seen = set()
    for objects in all_served().values():
        mine = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects}
        assert not mine & seen
        seen |= mine


def test_services_budgets_and_deployments_take_their_own_models_pods_alone():
    labels = {
        name: pod_of(of_kind(objects, "Deployment")[0])["metadata"]["labels"] for name, objects in all_served().items()
    }
    for name, objects in all_served().items():
        selectors = [service["spec"]["selector"] for service in of_kind(objects, "Service")]
        for found in of_kind(objects, "Deployment", "PodDisruptionBudget"):
            selectors.append(found["spec"]["selector"]["matchLabels"])
        (pod,) = [pod_of(deployment) for deployment in of_kind(objects, "Deployment")]
        selectors += [s["labelSelector"]["matchLabels"] for s in pod["spec"]["topologySpreadConstraints"]]
        assert len(selectors) >= 6
        for selector in selectors:
            taken = {model for model, those in labels.items() if selector.items() <= those.items()}
            assert taken == {name}


def test_pods_say_their_model_and_each_scales_by_itself():
    for name, objects in all_served().items():
        (deployment,), (scaler,) = of_kind(objects, "Deployment"), of_kind(objects, "HorizontalPodAutoscaler")
        assert pod_of(deployment)["metadata"]["labels"][LABEL] == name
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_further_models_pods_are_the_first_ones_but_for_names():
    (first,) = pods(FIRST)
    for folder in MODELS:
        (pod,) = pods(folder)
        for program, container in containers(pod).items():
            same = containers(first)[program]
            assert {k: v for k, v in container.items() if k != "envFrom"} == {
                k: v for k, v in same.items() if k != "envFrom"
            }
        assert not of_kind(render(folder), "NetworkPolicy", "Namespace", "Gateway", "Rules", "PodMonitoring")


def routed(path, host=HOST):
    """The Service that Google's gateway chooses: of the routes of that host the longest path that matches."""
    found = []
    for objects in all_served().values():
        for route in of_kind(objects, "HTTPRoute"):
            if host not in route["spec"]["hostnames"]:
                continue
            for rule in route["spec"]["rules"]:
                for match in rule["matches"]:
                    value = match["path"]["value"]
                    exact = match["path"]["type"] == "Exact"
                    if path == value if exact else path.startswith(value):
                        found.append((exact, len(value), rule["backendRefs"][0]["name"]))
    return max(found)[2] if found else None


def test_path_leads_to_the_model_that_it_names_and_any_other_to_the_first():
    for name, objects in all_served().items():
        (service,) = [s for s in of_kind(objects, "Service") if s["spec"]["ports"][0]["port"] == 80]
        assert routed(f"/v1/models/{name}/classify") == service["metadata"]["name"]
        assert routed(f"/v1/models/{name}/") == service["metadata"]["name"]
        # The Open Inference Protocol's addresses.
        for path in (f"/v2/models/{name}", f"/v2/models/{name}/infer", f"/v2/models/{name}/versions/1/ready"):
            assert routed(path) == service["metadata"]["name"]
    for path in (
        "/v1/classify",
        "/v1/models/no-such/classify",
        "/v2",
        "/v2/health/ready",
        "/v2/models/no-such",
        "/",
        "/docs",
    ):
        assert routed(path) == "classifier"
    assert routed("/trainyard.v1.Classifier/Classify") == routed(f"/{INFERENCE}/ModelInfer") == "streams"
    assert routed("/v1/classify", "elsewhere.example.com") is None


def test_load_balancer_is_told_how_each_models_service_is():
    for objects in all_served().values():
        routes = of_kind(objects, "HTTPRoute")
        used = {b["name"] for route in routes for rule in route["spec"]["rules"] for b in rule["backendRefs"]}
        for kind in ("HealthCheckPolicy", "GCPBackendPolicy"):
            told = {policy["spec"]["targetRef"]["name"] for policy in of_kind(objects, kind)}
            # That for gRPC is there for a model that gets a host of its own, too.
            assert used <= told <= {service["metadata"]["name"] for service in of_kind(objects, "Service")}


def test_promotions_and_drift_find_each_models_adapters_by_its_name():
    for name, objects in all_served().items():
        services = {s["metadata"]["name"]: s["spec"] for s in of_kind(objects, "Service")}
        assert services[f"{name}-adapter"]["clusterIP"] == "None"
        assert services[f"{name}-adapter"]["publishNotReadyAddresses"] is True
    for folder, variable, port in (
        ("jobs/promote", "TRAINYARD_SERVING_PODS", 9090),
        ("jobs/drift", "TRAINYARD_DRIFT_METRICS", 9102),
        *((f"{model}/jobs", "TRAINYARD_DRIFT_METRICS", 9102) for model in MODELS),
    ):
        told = [v for pod in pods(folder) for c in containers(pod).values() for v in c["env"] if v["name"] == variable]
        # Kubernetes puts in what envFrom gave.
        assert [v["value"] for v in told] == [f"$(TRAINYARD_MODEL_NAME)-adapter.trainyard.svc:{port}"]
        for pod in pods(folder):
            for container in containers(pod).values():
                assert any("settings" in source["configMapRef"]["name"] for source in container["envFrom"])


def test_jobs_by_the_clock_are_each_models_own_on_its_own_images():
    for folder in MODELS:
        settings = settings_of(render(f"{folder}/jobs"))
        assert settings["TRAINYARD_MODEL_NAME"] == model_of(render(folder))
        # The site's dataset stands over what the model's files say, so a model that has another says so here.
        (model,) = [model for model in known(ROOT) if model.name == settings["TRAINYARD_MODEL_NAME"]]
        assert settings["TRAINYARD_DATASET_URI"] == Path(model.settings.dataset.uri).stem
        crons = {o["metadata"]["name"] for o in of_kind(render(f"{folder}/jobs"), "CronJob")}
        assert crons == {f"{settings['TRAINYARD_MODEL_NAME']}-{job}" for job in ("retrain", "drift")}


def test_an_upgrade_changes_no_name_and_no_selector_of_the_first_model():
    objects = {(o["kind"], o["metadata"]["name"]): o for o in render(FIRST)}
    kept = {
        "Deployment": ["serving"],
        "HorizontalPodAutoscaler": ["serving"],
        "PodDisruptionBudget": ["serving"],
        "ServiceAccount": ["serving"],
        "Service": ["adapter", "classifier"],
        "NetworkPolicy": ["closed", "serving"],
        "Gateway": ["classifier"],
        "HTTPRoute": ["classifier-grpc", "classifier-http"],
    }
    assert {(kind, name) for kind, all_names in kept.items() for name in all_names} <= objects.keys()
    # Immutable; and pods that are still of the version before have no label but this.
    before = {"app": "serving"}
    assert objects["Deployment", "serving"]["spec"]["selector"] == {"matchLabels": before}
    for service in ("adapter", "classifier", "chest-xray-adapter"):
        assert objects["Service", service]["spec"]["selector"] == before
    assert objects["NetworkPolicy", "serving"]["spec"]["podSelector"] == {}


@pytest.fixture
def further(tmp_path):
    """infra/k8s with one more model, made as the page tells: the folder of digits under another name."""
    shutil.copytree(K8S, tmp_path / "infra" / "k8s")
    shutil.copytree(ROOT / "serving" / "tensorflow_serving", tmp_path / "serving" / "tensorflow_serving")
    folder = tmp_path / "infra" / "k8s" / "models" / "skin-lesions"
    shutil.copytree(K8S / "models" / "digits", folder)
    for file in folder.rglob("*.yaml"):
        file.write_text(file.read_text().replace("digits", "skin-lesions"))
    return folder


def test_further_model_costs_one_folder_of_few_lines(further):
    lines = [line for file in further.rglob("*.yaml") for line in file.read_text().splitlines() if line[:1] != "#"]
    assert len(lines) <= 33
    objects = built(further)
    assert model_of(objects) == "skin-lesions"
    mine = {(o["kind"], o["metadata"]["name"]) for o in objects}
    assert not mine & {(o["kind"], o["metadata"]["name"]) for all_ in all_served().values() for o in all_}
    for found in (*objects, *built(further / "jobs"), *built(further / "gc")):
        assert "digits" not in json.dumps(found).replace("handwritten", "")
        if "gateway" not in found["apiVersion"] and "gke" not in found["apiVersion"]:
            kubernetes_validate.validate(found, "1.35", strict=True)


def test_model_can_have_a_host_of_its_own(further):
    file = further / "kustomization.yaml"
    content = yaml.safe_load(file.read_text())
    content["components"] = ["../../components/model-host"]
    value = [f"skin-lesions.{HOST}"]
    patch = json.dumps([{"op": "replace", "path": "/spec/hostnames", "value": value}])
    content["patches"].append({"target": {"kind": "HTTPRoute", "name": "by-host"}, "patch": patch})
    file.write_text(json.dumps(content))
    objects = built(further)
    (route,) = [r for r in of_kind(objects, "HTTPRoute") if r["metadata"]["name"] == "skin-lesions-by-host"]
    assert route["spec"]["hostnames"] == value
    assert {b["name"] for rule in route["spec"]["rules"] for b in rule["backendRefs"]} == {
        "skin-lesions-classifier", "skin-lesions-streams",
    }  # fmt: skip
    paths = {match["path"]["value"] for rule in route["spec"]["rules"] for match in rule["matches"]}
    first = {
        m["path"]["value"]
        for r in of_kind(render(FIRST), "HTTPRoute")
        for x in r["spec"]["rules"]
        for m in x["matches"]
    }
    assert paths == first == set(PUBLIC)
    address = (TERRAFORM / "address.tf").read_text()
    assert address.count('"*.${var.host}"') == 2


@pytest.fixture
def evaluated(tmp_path):
    """What Terraform makes of an expression over the tables of rights, which need no provider."""
    return partial(terraform.evaluate, tmp_path)


def test_each_models_pods_read_what_is_served_of_their_own_model_alone(evaluated):
    grants = evaluated("local.each_grant").values()
    for name, objects in all_served().items():
        (account,) = of_kind(objects, "ServiceAccount")
        whose = f"{account['metadata']['namespace']}/{account['metadata']['name']}"
        mine = [(g["model"], g["folder"], g["role"]) for g in grants if g["account"] == whose]
        assert mine == [(name, "production", "roles/storage.objectViewer")]


def test_pipelines_and_promotions_have_the_same_rights_in_every_models_folders(evaluated):
    grants, folders = evaluated("[local.each_grant, local.each_folder]")
    by_account = {}
    for grant in grants.values():
        if "/serving" not in grant["account"] and "-serving" not in grant["account"]:
            rights = by_account.setdefault(grant["account"], {}).setdefault(grant["model"], {})
            rights[grant["folder"]] = grant["role"]
        assert folders[grant["place"]] == {"model": grant["model"], "folder": grant["folder"]}
    for account, models in by_account.items():
        assert models.keys() == all_served().keys(), account
        assert len({json.dumps(rights, sort_keys=True) for rights in models.values()}) == 1, account


def test_upgrade_of_a_yard_with_a_name_of_its_own_makes_nothing_anew(evaluated):
    before = evaluated("keys(local.each_folder)", "-var=models=[]")
    assert before == sorted(["testing", "production", "records", "reports", "journal", ".staging", "pipeline", "runs"])
    own = evaluated("local.each_folder", "-var=model=lung", '-var=models=["lung","digits"]')
    assert {key: own[key]["model"] for key in before} == dict.fromkeys(before, "lung")
    assert {value["model"] for value in own.values()} == {"lung", "digits"}
    assert evaluated("local.serving", "-var=model=lung")["lung"] == "trainyard/serving"
