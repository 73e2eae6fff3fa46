"""A serving pod in a Kubernetes cluster, made from the Deployment of its namespace."""

import contextlib
import json
import subprocess
import tarfile
import time
import uuid
from pathlib import Path
from typing import Self

from cli import InfrastructureError
from cluster import Kubectl, objects
from cluster.objects import ContainerStatus, Deployment, State, Terminated
from serving.pod import memory
from serving.pod.clone_of import MODELS, WHOLE, clone_of
from serving.pod.guard import Guard
from serving.pod.pod import START_SECONDS, Pod, PodFailed, cannot_load, crash_of, end_of, free_port

DEPLOYMENT = "serving"
_LABEL = "app=clone"
# A node may have to be made first.
_PLACE_SECONDS = 600.0
# Clones are thrown away; there is nothing in one that would have to be finished.
_DELETE = ("--grace-period=1", "--ignore-not-found", "--wait=false")


def deployment_of(kubectl: Kubectl) -> Deployment:
    """
    Raises:
        InfrastructureError: the namespace has none, or the cluster can't be asked.
    """
    found: Deployment | None = kubectl.get("deployment", DEPLOYMENT)
    if found:
        return found
    raise InfrastructureError(
        f"The namespace {kubectl.namespace} has no Deployment `{DEPLOYMENT}` to make a clone of; "
        "call kubectl apply --kustomize infra/k8s/overlays/staging first."
    )


def model_server_image(namespace: str) -> str:
    """The image that a clone's model server is of."""
    spec = deployment_of(Kubectl(namespace))["spec"]["template"]["spec"]
    return next(str(c["image"]) for c in spec["initContainers"] if c["name"] == "model-server")


class KubernetesPod(Pod):
    """What the Deployment's pods are, with a folder of this machine in the place of the registry.

    Arguments:
        models_config: the configuration the model server loads; its folder is copied into the pod, under the same path.
        model: name of the model the adapter asks for.
        logs: folder for the containers' logs.
        namespace: where the Deployment is, and the pod will be.
        image: of the model server, instead of the Deployment's.
        more_flags: for the model server, after production's.
    """

    def __init__(
        self,
        models_config: str,
        model: str,
        logs: Path,
        *,
        namespace: str,
        image: str | None = None,
        more_flags: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.kubectl = Kubectl(namespace)
        self.name = ""
        self.logs, self._folder, self._model = logs, Path(models_config).parent, model
        self._image, self._more_flags = image, more_flags
        self._forward: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    def start(self, timeout: float = START_SECONDS) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        # Those that a lost machine has left behind: their deadline has ended them, but not taken them away.
        self.kubectl.call(
            "delete", "pods", "--selector", _LABEL, "--field-selector", "status.phase=Failed", *_DELETE[1:]
        )
        # The same after a restart, as callers hold a connection to them.
        self.http_port, self.grpc_port = free_port(), free_port()
        self._bring_up(timeout)
        return self

    def stop(self) -> None:
        if self._guard is None:
            return
        for program, container in (("adapter", "adapter"), ("model_server", "model-server")):
            (self.logs / f"{program}.log").write_text(self._log(container), "utf-8")
        self._take_down()

    def restart_model_server(self, timeout: float = START_SECONDS) -> None:
        """Replaces the pod: a container's first process can't be ended from inside, nor from here."""
        self._take_down()
        self._bring_up(timeout)

    def check(self) -> None:
        pod = self.kubectl.get("pod", self.name)
        if pod is None:
            raise PodFailed(f"The clone {self.name} is gone: somebody has deleted it.")
        for container, status in _statuses(pod).items():
            # A sidecar that ends is started again; it should not have ended.
            for state in (status["state"], status.get("lastState", {})):
                if "terminated" in state and container != MODELS:
                    raise self._ended(container, state["terminated"], pod)
        if pod["status"].get("phase") == "Failed":
            raise PodFailed(
                f"The clone {self.name} was ended: {pod['status'].get('message') or pod['status'].get('reason')}."
            )
        if self._forward and self._forward.poll() is not None:
            raise PodFailed(f"The connection to the clone {self.name} was lost.")

    def memory_mib(self) -> tuple[float, float] | None:
        try:
            told = self.kubectl.call(
                "exec", self.name, "--container", "model-server", "--", "sh", "-c", "cat /proc/[0-9]*/status"
            )
        except InfrastructureError:
            return None
        return memory.of_status(told)

    def _bring_up(self, timeout: float) -> None:
        template = deployment_of(self.kubectl)["spec"]["template"]
        self.name = f"clone-{uuid.uuid4().hex[:10]}"
        pod = clone_of(template, self.name, self._model, self._folder, self._image, self._more_flags)
        self._guard = Guard()
        self._guard.tell(run=self.kubectl.command("delete", "pod", self.name, *_DELETE))
        self.kubectl.call("create", "--validate=false", "--filename", "-", data=json.dumps(pod).encode())
        self._wait_for_place()
        self._copy_models()
        ports = (f"{self.http_port}:8080", f"{self.grpc_port}:9090")
        self._wait_for("adapter", timeout)
        self._forward = subprocess.Popen(
            self.kubectl.command("port-forward", f"pod/{self.name}", *ports),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.logs / "port-forward.log").open("ab"),
        )
        self._guard.tell(kill=self._forward.pid)
        self._wait_ready(timeout)

    def _take_down(self) -> None:
        assert self._guard
        if self._forward:
            self._forward.terminate()
            self._forward.wait()
            self._guard.tell(forget=self._forward.pid)
            self._forward = None
        self.kubectl.call("delete", "pod", self.name, *_DELETE)
        self._guard.dismiss()
        self._guard = None

    def _wait_for_place(self) -> None:
        try:
            self._wait_for(MODELS, _PLACE_SECONDS)
        except PodFailed:
            pod = self.kubectl.get("pod", self.name) or {}
            conditions = pod.get("status", {}).get("conditions", [])
            why = next((c["message"] for c in conditions if c["status"] == "False" and "message" in c), "")
            raise PodFailed(f"The clone {self.name} did not start within {_PLACE_SECONDS:g} s: {why}") from None

    def _wait_for(self, container: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while "running" not in self._state(container):
            self.check()
            if time.monotonic() > deadline:
                raise PodFailed(f"The {container} of the clone {self.name} did not start within {timeout:g} s.")
            time.sleep(0.5)

    def _state(self, container: str) -> State:
        pod: objects.Pod | None = self.kubectl.get("pod", self.name)
        found = _statuses(pod or {}).get(container)
        return found.get("state", {}) if found else {}

    def _copy_models(self) -> None:
        into = ("exec", self.name, "--container", MODELS)
        unpack = self.kubectl.command(*into, "--stdin", "--", "tar", "-x", "-f", "-", "-C", str(self._folder))
        with subprocess.Popen(
            unpack, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin and process.stderr
            with contextlib.suppress(BrokenPipeError):
                with tarfile.open(fileobj=process.stdin, mode="w|") as archive:
                    for name in (self._model, "models.config"):
                        archive.add(self._folder / name, arcname=name)
                process.stdin.close()
            said = process.stderr.read().decode("utf-8", "replace")
        if process.returncode:
            raise PodFailed(f"The models could not be copied into the clone {self.name}: {end_of(said)}")
        self.kubectl.call(*into, "--", "touch", str(self._folder / WHOLE))

    def _ended(self, container: str, ended: Terminated, pod: objects.Pod) -> PodFailed:
        of_model, name = container == "model-server", container.replace("-", " ")
        log = self._log(container)
        if of_model and (why := cannot_load(log)):
            return PodFailed(why, by_model=True)
        if ended.get("reason") == "OOMKilled":
            every = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
            limit = next(c["resources"]["limits"]["memory"] for c in every if c["name"] == container)
            return PodFailed(f"the {name} needed more than its {limit} of memory", by_model=of_model)
        if crash := crash_of(name.replace(" ", "_"), ended["exitCode"] - 128):
            return crash
        return PodFailed(f"The {name} ended with exit code {ended['exitCode']}: {end_of(log)}")

    def _log(self, container: str) -> str:
        """Of its first run, if it was started again: that tells why."""
        for which in (["--previous"], []):
            with contextlib.suppress(InfrastructureError):
                return self.kubectl.call("logs", self.name, "--container", container, *which)
        return ""

    def _last_word(self) -> str:
        return end_of(self._log("model-server"))


def _statuses(pod: objects.Pod) -> dict[str, ContainerStatus]:
    status = pod.get("status", {})
    return {s["name"]: s for s in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]}
