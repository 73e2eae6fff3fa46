"""Runs steps as Kubernetes Jobs, made from infra/k8s/jobs."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli import Exit, UsageError
from cluster import Kubectl
from contracts import location
from contracts.location import Local
from pipeline.executors.docker import IMAGES, own_variables
from pipeline.executors.follow import Follower
from pipeline.executors.protocol import Job
from pipeline.pants import nested_environment
from pipeline.step import Step
from pipeline.steps import Row, programs
from settings import Settings
from settings.load import FILE_NAME

_JOBS = Path("infra/k8s/jobs")
_PINS = Path("infra/k8s/images/kustomization.yaml")
# Where a step finds the dataset's pointer, if there is one.
_MOUNTED = "/etc/trainyard"
# Of the images (infra/docker/Dockerfile).
_WORKED_IN = "/tmp"
_ABORTED = 137  # what the runner says of a step that it broke off


class Kubernetes:
    """Starts a step as a Job; what is made of infra/k8s/jobs for it is kept in the run's folder.

    Where images were pushed for this call, they are taken; otherwise those named in infra/k8s/images are.

    Raises:
        UsageError: registry or dataset are folders of this machine, or there is no image.
    """

    # A Job has a machine, or a part of one, to itself.
    shares_machine = False

    def __init__(self, job: Job) -> None:
        self._job, self._settings = job, job.settings
        self._dataset = Path(job.settings.dataset.uri)
        if isinstance(location.parse(job.settings.registry.uri, "registry"), Local):
            raise UsageError(
                f"A Job can't reach the folder {job.settings.registry.uri}; name a registry as gs://BUCKET/…."
            )
        if not location.is_address(job.settings.dataset.uri) and self._dataset.is_dir():
            raise UsageError(
                f"A Job can't reach the folder {self._dataset}; mount a bucket (infra/k8s/components/datasets) and "
                "name the folder there, or take `sample`."
            )
        self._pushed = bool(job.tag and job.settings.kubernetes.images)
        if not self._pushed and "newTag: unset" in (job.root / _PINS).read_text("utf-8"):
            raise UsageError(
                f"{_PINS} names no images of yours; call scripts/push-images, or set [kubernetes] images in "
                "trainyard.toml."
            )

    def images(self, rows: Sequence[Row], affected: Sequence[str]) -> Step | None:
        """Builds the images that steps run in, and pushes them under the call's tag."""
        prefix = self._settings.kubernetes.images
        if not (rows and prefix):
            return None
        push = str(self._job.root / "scripts/push-images")
        return Step(IMAGES, [push, prefix, self._job.tag, *programs(rows)], nested_environment())

    def step(self, row: Row, arguments: Sequence[str]) -> Step:
        root, settings, key = self._job.root, self._settings, self._job.key
        made = self._job.folder / f"{row.name}-job"
        files = _files(made, root / FILE_NAME, self._dataset)
        is_pointer, pointer = self._dataset.is_file(), f"{_MOUNTED}/{self._dataset.name}"
        told = [pointer if word == str(self._dataset) and is_pointer else word for word in arguments]
        image = f"{settings.kubernetes.images}/{row.program}:{self._job.tag}" if self._pushed else None
        variables = own_variables(os.environ) | {
            "TRAINYARD_MODEL_NAME": settings.model.name,
            **self._job.variables_of(row),
        }
        content = _kustomization(
            made, _template(root / _JOBS, made, row), settings, (key, row.name), told, files, image, variables
        )
        (made / "kustomization.yaml").write_text(json.dumps(content, indent=1), "utf-8")
        name = f"trainyard-{key}-{_name(row)}"
        job = KubernetesJob(Kubectl(settings.kubernetes.jobs), name, key, row.name, made)
        command = [sys.executable, "-m", "pipeline.executors.follow", settings.kubernetes.jobs, name]
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        return Step(row.name, command, {**os.environ, "PYTHONPATH": path}, job)


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


def _name(row: Row) -> str:
    return row.program.replace("_", "-")


def _template(jobs: Path, made: Path, row: Row) -> Path:
    """The folder that says what the step's Job is: its own below `jobs`, or one like all the others."""
    if (jobs / row.program).is_dir():
        return jobs / row.program
    folder = made / "template"
    folder.mkdir()
    container = {"name": "step", "image": f"trainyard/{row.program}", "args": ["--json"]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": _name(row)},
        "spec": {
            "template": {"metadata": {"labels": {"app": _name(row)}}, "spec": {"containers": [container]}},
        },
    }
    parts = [jobs / "step", *([jobs / "signs"] if row.makes else []), jobs.parent / "site", jobs.parent / "images"]
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["job.json"],
        "components": [os.path.relpath(part.resolve(), folder.resolve()) for part in parts],
    }
    (folder / "job.json").write_text(json.dumps(job, indent=1), "utf-8")
    (folder / "kustomization.yaml").write_text(json.dumps(content, indent=1), "utf-8")
    return folder


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
    variables: dict[str, str],
) -> dict[str, object]:
    """What Kustomize has to make of `job`, as JSON, which is YAML as well."""
    key, step = run
    container = "/spec/template/spec/containers/0"
    # Beside those of the Job itself: how it is run, and its keys.
    variables.pop("TRAINYARD_EXECUTOR", None)
    mounts = [{"name": "run", "mountPath": _MOUNTED, "readOnly": True}]
    if FILE_NAME in files:
        # Where a program looks for it, and a folder it can write to: what a training keeps meanwhile lies beside it.
        mounts.append({"name": "run", "mountPath": f"{_WORKED_IN}/{FILE_NAME}", "subPath": FILE_NAME, "readOnly": True})
    patch: list[dict[str, object]] = [
        {"op": "replace", "path": f"{container}/args", "value": arguments},
        *(_added(f"{container}/env", {"name": name, "value": value}) for name, value in variables.items()),
        *(_added(f"{container}/volumeMounts", mount) for mount in mounts),
        _added("/spec/template/spec/volumes", {"name": "run", "configMap": {"name": "run"}}),
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


def _added(where: str, value: object) -> dict[str, object]:
    """JSON Patch's way to say: one more at the end of the list `where`."""
    return {"op": "add", "path": f"{where}/-", "value": value}
