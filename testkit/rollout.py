"""A Deployment of serving pods as processes of this machine, moved about as Kubernetes does, while requests come in.

The pods' programs are started with the manifest's own arguments; times (preStop, grace) are the manifest's too. A
balancer sends to every pod that is ready and, as Google's, goes on for a while to one that has begun to leave.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from cli.loopback import open_url
from serving.client import Client, ClientError
from serving.pod import flags, free_port
from testkit.pods import MODEL, picture

# From the repository's root, where tests and `./pants run` work; a packaged program holds no manifests.
MANIFEST = Path("infra/k8s/base/serving.yaml")
# How often the stand-in for a registry is read again; production's 30 s would only be waited for.
_POLL = "--model_config_file_poll_wait_seconds"
_LISTING = "--file_system_poll_wait_seconds"
# What the gateway's health checks may take to find that a pod is not ready (components/gateway/backend.yaml).
LATE_SECONDS = 13


class Pod:
    """One serving pod. It takes requests from the moment it is ready until it is gone."""

    def __init__(self, registry: Path, folder: Path) -> None:
        self.spec = yaml.safe_load(MANIFEST.read_text())["spec"]["template"]["spec"]
        self.folder, self.gone = folder, False
        self.http, self.grpc = free_port(), free_port()
        (server,), (adapter,) = self.spec["initContainers"], self.spec["containers"]
        self._adapter_spec = adapter
        places = {
            "$(TRAINYARD_REGISTRY_URI)/$(TRAINYARD_MODEL_NAME)/$(STAGE)": str(registry),
            "$(TRAINYARD_MODEL_NAME)": MODEL,
            "/run/trainyard": str(folder),
            "/etc/trainyard": str(folder),
            "--host=0.0.0.0": "--host=127.0.0.1",
            "-port=8080": f"-port={self.http}",
            "-port=9090": f"-port={self.grpc}",
            f"{_POLL}=30": f"{_POLL}=1",
            f"{_LISTING}=30": f"{_LISTING}=1",
        }
        flags.write_batching(folder)
        self._server = self._start("model_server", server["args"], places)
        self._adapter = self._start("adapter", adapter["args"], places)
        self.client = Client(f"127.0.0.1:{self.grpc}")

    def ready(self) -> bool:
        path = self._adapter_spec["readinessProbe"]["httpGet"]["path"]
        try:
            with open_url(f"http://127.0.0.1:{self.http}{path}", timeout=3) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def leave(self) -> None:
        """preStop, SIGTERM to the adapter, then to its sidecar, and SIGKILL once the time of grace is over."""
        end = time.monotonic() + self.spec["terminationGracePeriodSeconds"]
        time.sleep(self._adapter_spec["lifecycle"]["preStop"]["sleep"]["seconds"])
        for process in (self._adapter, self._server):
            process.terminate()
            try:
                process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.gone = True

    def kill(self) -> None:
        for process in (self._adapter, self._server):
            process.send_signal(signal.SIGKILL)
            process.wait()

    def _start(self, program: str, arguments: list[str], places: dict[str, str]) -> subprocess.Popen[bytes]:
        for here, there in places.items():
            arguments = [argument.replace(here, there) for argument in arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)}
        with (self.folder / f"{program}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"serving.{program}", *arguments], stdout=log, stderr=log, env=environment
            )


class Rollout:
    """The Deployment, its controller's moves, and the callers."""

    def __init__(self, registry: Path, callers: int = 2) -> None:
        self.registry, self.pods, self.balanced = registry, [], []
        self.answered: Counter[int] = Counter()
        self.failures: list[str] = []
        self._folder = tempfile.TemporaryDirectory(prefix="trainyard-rollout-")
        self._stop = threading.Event()
        self._callers = [threading.Thread(target=self._call, args=(number,)) for number in range(callers)]

    def __enter__(self) -> "Rollout":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        for caller in self._callers:
            if caller.ident:
                caller.join()
        for pod in self.pods:
            pod.kill()
        self._folder.cleanup()

    def begin(self, pods: int) -> None:
        """The first pods; requests come from now on."""
        self.scale(pods)
        for caller in self._callers:
            caller.start()

    def scale(self, pods: int) -> None:
        """To more or fewer, all at once."""
        missing = pods - len(self.pods)
        for new in [self._add() for _ in range(missing)]:
            self._wait_ready(new)
        self._remove(self.pods[:-pods] if missing < 0 else [])

    def update(self) -> None:
        """A new image: maxSurge 1, maxUnavailable 0."""
        for old in list(self.pods):
            self._wait_ready(self._add())
            self._remove([old])

    def drain(self) -> None:
        """A node goes: its pod is evicted at once, and another one is made meanwhile."""
        old = self.pods[0]
        leaving = threading.Thread(target=self._remove, args=([old],))
        leaving.start()
        self._wait_ready(self._add())
        leaving.join()

    def _add(self) -> Pod:
        pod = Pod(self.registry, Path(tempfile.mkdtemp(dir=self._folder.name)))
        self.pods.append(pod)
        return pod

    def _wait_ready(self, pod: Pod, seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while not pod.ready():
            if time.monotonic() > end:
                raise TimeoutError((pod.folder / "model_server.log").read_text()[-2000:])
            time.sleep(0.2)
        self.balanced = [*self.balanced, pod]

    def _remove(self, pods: list[Pod]) -> None:
        def leave(pod: Pod) -> None:
            late = threading.Timer(LATE_SECONDS, self._forget, args=(pod,))
            late.start()
            pod.leave()
            late.join()
            self.pods.remove(pod)

        with ThreadPoolExecutor(max(len(pods), 1)) as threads:
            list(threads.map(leave, pods))

    def _forget(self, pod: Pod) -> None:
        self.balanced = [other for other in self.balanced if other is not pod]

    def _call(self, number: int) -> None:
        """gRPC and REST in turn, from pod to pod, without a second try."""
        image = picture()
        while not self._stop.is_set():
            pods = self.balanced
            if not pods:
                self.failures.append("there is no pod to send to")
                time.sleep(0.1)
                continue
            pod = pods[number % len(pods)]
            number += 1
            try:
                if number // len(pods) % 2:
                    self.answered[pod.client.classify(image).version] += 1
                else:
                    url = f"http://127.0.0.1:{pod.http}/v1/classify"
                    request = urllib.request.Request(url, image, {"Content-Type": "image/png"})
                    with open_url(request, timeout=15) as answer:
                        self.answered[json.load(answer)["version"]] += 1
            except (ClientError, urllib.error.URLError, OSError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            time.sleep(0.02)


def serve(registry: Path, versions: list[int], stable: int) -> None:
    """What a promotion writes: the versions to load, and the label."""
    wanted = " ".join(f"versions: {version}" for version in versions)
    staged = registry / "models.config.new"
    staged.write_text(
        f'model_config_list {{ config {{ name: "{MODEL}" base_path: "{registry / MODEL}" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ {wanted} }} }} "
        f'version_labels {{ key: "stable" value: {stable} }} }} }}'
    )
    staged.replace(registry / "models.config")
