"""The Kubernetes manifests as kubectl renders them."""

import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
K8S = ROOT / "infra" / "k8s"
OVERLAYS = ("overlays/production", "overlays/staging", "overlays/embedded")
# Models beside the first one, which OVERLAYS are about.
MODELS = tuple(f"models/{folder.name}" for folder in sorted((K8S / "models").iterdir()) if folder.name != "shared")
SERVED = (*OVERLAYS, *MODELS)
JOBS = (
    "jobs/train",
    "jobs/train-gpu",
    "jobs/train-workers",
    "jobs/retrain",
    "jobs/test_model",
    "jobs/promote",
    "jobs/drift",
    "jobs/schedule",
    "jobs/gc",
    *(f"{model}/{jobs}" for model in MODELS for jobs in ("jobs", "gc")),
)
NAMESPACES = ("jobs/namespace", "jobs/promotion")
ALL = (*SERVED, *JOBS, *NAMESPACES)


@cache
def require_kubectl() -> None:
    """Skips where there is no kubectl, or one whose Kustomize is too old for components."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed; nothing was rendered")
    version = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True).stdout
    if "Kustomize Version: v5" not in version:
        pytest.skip("kubectl is older than 1.27 (Kustomize 5); nothing was rendered")


@cache
def render(folder: str) -> tuple[dict[str, Any], ...]:
    """All objects of a folder below infra/k8s. Not to be changed."""
    return built(K8S / folder)


def built(folder: Path) -> tuple[dict[str, Any], ...]:
    """All objects of any folder with a kustomization."""
    require_kubectl()
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return parsed(done.stdout)


def parsed(text: str) -> tuple[dict[str, Any], ...]:
    """By libyaml, as `written`: PyYAML's own takes eight times as long, which is minutes over all of these tests."""
    return tuple(yaml.load_all(text, Loader=yaml.CSafeLoader))


def written(objects: Iterable[dict[str, Any]]) -> str:
    return yaml.dump_all(objects, Dumper=yaml.CSafeDumper)


def of_kind(objects: tuple[dict[str, Any], ...], *kinds: str) -> list[dict[str, Any]]:
    return [found for found in objects if found["kind"] in kinds]


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    """The pod template of a Deployment, Job or CronJob."""
    spec = workload["spec"]["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else workload["spec"]
    return spec["template"]


def pods(folder: str) -> list[dict[str, Any]]:
    return [pod_of(workload) for workload in of_kind(render(folder), "Deployment", "Job", "CronJob")]


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By name, sidecars and init containers too."""
    return {c["name"]: c for c in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]}
