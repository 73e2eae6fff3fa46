"""Runs steps as Kubernetes Jobs, made from infra/k8s/jobs."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import Kubectl

from cli import Exit, UsageError
from pipeline.containers import PROGRAMS, own_variables
from pipeline.follow import Follower
from pipeline.graph import nested_environment
from pipeline.steps import Launcher, Step
from settings import Settings
from settings.load import FILE_NAME

_JOBS = Path("infra/k8s/jobs")
_PINS = Path("infra/k8s/images/kustomization.yaml")
# Where a step finds the dataset's pointer, if there is one.
_MOUNTED = "/etc/trainyard"
# Of the images (infra/docker/Dockerfile).
_WORKED_IN = "/tmp"
_ABORTED = 137  # what the runner says of a step that it broke off


def push_step(root: Path, settings: Settings, pipeline: str, key: str) -> Step:
    """Builds the images that a pipeline's steps run in, and pushes them under the run's key as tag."""
    programs = [PROGRAMS["test"]] if pipeline == "test" else [PROGRAMS[pipeline], PROGRAMS["test"]]
    return Step(
        "images", [str(root / "scripts/push-images"), settings.kubernetes.images, key, *programs], nested_environment()
    )


def kubernetes_launcher(root: Path, settings: Settings, key: str, folder: Path, pushed: bool) -> Launcher:
    """Starts a step as a Job; what is made of infra/k8s/jobs for it is kept in `folder`.

    `pushed` tells that the step's image lies in the registry of images under the run's key; otherwise those named in
    infra/k8s/images are taken.

    Raises:
        UsageError: registry or dataset are folders of this machine, or there is no image.
    """
    if "://" not in settings.registry.uri:
        raise UsageError(f"A Job can't reach the folder {settings.registry.uri}; name a registry as gs://BUCKET/….")
    dataset = Path(settings.dataset.uri)
    if "://" not in settings.dataset.uri and dataset.is_dir():
        raise UsageError(
            f"A Job can't reach the folder {dataset}; mount a bucket (infra/k8s/components/datasets) and "
            "name the folder there, or take `sample` or `digits`."
        )
    if not pushed and "newTag: unset" in (root / _PINS).read_text("utf-8"):
        raise UsageError(
            f"{_PINS} names no images of yours; call scripts/push-images, or set [kubernetes] images in trainyard.toml."
        )

    def launch(name: str, arguments: list[str]) -> Step:
        program = PROGRAMS[name]
        made = folder / f"{name}-job"
        files = _files(made, root / FILE_NAME, dataset)
        pointer = f"{_MOUNTED}/{dataset.name}"
        told = [pointer if word == str(dataset) and dataset.is_file() else word for word in arguments]
        image = f"{settings.kubernetes.images}/{program}:{key}" if pushed else None
        content = _kustomization(made, root / _JOBS / program, settings, (key, name), told, files, image)
        (made / "kustomization.yaml").write_text(json.dumps(content, indent=1), "utf-8")
        job = KubernetesJob(
            Kubectl(settings.kubernetes.jobs), f"trainyard-{key}-{program.replace('_', '-')}", key, name, made
        )
        command = [sys.executable, "-m", "pipeline.follow", settings.kubernetes.jobs, job.name]
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        return Step(name, command, {**os.environ, "PYTHONPATH": path}, job)

    return launch


@dataclass(frozen=True)
class KubernetesJob:
    """A Job whose name is that of the run, so that whoever comes after a kill finds it and goes on with it."""

    kubectl: Kubectl
    name: str
    key: str
    step: str
    folder: Path

    def prepare(self) -> None:
        """Makes the Job, unless an earlier try did: one that runs is gone on with, one that has ended is heard out.

        Raises:
            InfrastructureError: the cluster can't be asked, or refuses it.
        """
        if self.kubectl.get("job", self.name) is None:
            # The settings may be there already, where a kill came between the two. The server checks what it is given;
            # kubectl would fetch its whole schema to do the same.
            self.kubectl.call("apply", "--validate=false", "--kustomize", str(self.folder))

    def conclude(self, exit_code: int) -> tuple[int, str]:
        follower = Follower(self.kubectl, self.name)
        found = follower.look()
        if found.running and exit_code == Exit.INFRASTRUCTURE:
            return exit_code, "The Job goes on in the cluster; start the run again to follow it."
        selector = f"trainyard.dev/run={self.key},trainyard.dev/step={self.step}"
        self.kubectl.call("delete", "jobs,configmaps", "--selector", selector, "--wait=false")
        if exit_code == _ABORTED and found.running:
            return Exit.INFRASTRUCTURE, "The run was broken off, and its Job removed."
        return (found.exit_code if found.exit_code is not None else exit_code), found.why


def _files(folder: Path, settings_file: Path, dataset: Path) -> list[str]:
    """Copies what the step has to read from this machine to `folder`; the names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    there = [path for path in (settings_file, dataset) if path.is_file()]
    for path in there:
        shutil.copy(path, folder)
    return [path.name for path in there]


def _kustomization(
    made: Path,
    job: Path,
    settings: Settings,
    run: tuple[str, str],
    arguments: list[str],
    files: list[str],
    image: str | None,
) -> dict[str, Any]:
    """What Kustomize has to make of `job`, as JSON, which is YAML as well."""
    key, step = run
    container = "/spec/template/spec/containers/0"
    # Beside those of the Job itself: how it is run, and its keys.
    variables = own_variables(os.environ) | {"TRAINYARD_MODEL_NAME": settings.model.name}
    variables.pop("TRAINYARD_EXECUTOR", None)
    mounts = [{"name": "run", "mountPath": _MOUNTED, "readOnly": True}]
    if FILE_NAME in files:
        # Where a program looks for it, and a folder it can write to: what a training keeps meanwhile lies beside it.
        mounts.append({"name": "run", "mountPath": f"{_WORKED_IN}/{FILE_NAME}", "subPath": FILE_NAME, "readOnly": True})
    patch: list[dict[str, Any]] = [
        {"op": "replace", "path": f"{container}/args", "value": arguments},
        *({"op": "add", "path": f"{container}/env/-", "value": {"name": n, "value": v}} for n, v in variables.items()),
        *({"op": "add", "path": f"{container}/volumeMounts/-", "value": mount} for mount in mounts),
        {"op": "add", "path": "/spec/template/spec/volumes/-", "value": {"name": "run", "configMap": {"name": "run"}}},
    ]
    if image:
        patch.append({"op": "replace", "path": f"{container}/image", "value": image})
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": settings.kubernetes.jobs,
        "namePrefix": f"trainyard-{key}-",
        # Kustomize takes folders by a relative path alone.
        "resources": [os.path.relpath(job.resolve(), made.resolve())],
        "labels": [{"pairs": {"trainyard.dev/run": key, "trainyard.dev/step": step}, "includeTemplates": True}],
        "configMapGenerator": [{"name": "run", "files": files}],
        "patches": [{"target": {"kind": "Job"}, "patch": json.dumps(patch)}],
    }
