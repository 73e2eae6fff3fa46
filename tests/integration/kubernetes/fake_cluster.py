"""A stand-in for a cluster: an API server over real HTTP, for the real kubectl, that runs containers as processes.

It knows Jobs, their pods and logs, and ConfigMaps: what `pipeline run --executor kubernetes` asks for, and no more.
"""

import json
import os
import re
import subprocess
import threading
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_PATH = re.compile(r"/(?:api/v1|apis/batch/v1)/namespaces/([^/]+)/([^/]+)(?:/([^/]+)(/log)?)?")
_KINDS = {"configmaps": ("v1", "ConfigMap"), "pods": ("v1", "Pod"), "jobs": ("batch/v1", "Job")}


class FakeCluster:
    """`program` is run in the place of every container, with the container's arguments and variables."""

    def __init__(self, folder: Path, program: list[str]) -> None:
        self.program = program
        # What the pod says of itself before its container starts; the container starts once this is None.
        self.waiting: dict[str, Any] | None = None
        # Overrides how a container's end is told, as {"reason": "OOMKilled", "exitCode": 137}.
        self.ended: dict[str, Any] = {}
        self.broken = False  # answers nothing but errors
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.requests: list[str] = []
        self.created: list[dict[str, Any]] = []
        self.logs: dict[str, list[tuple[str, bytes]]] = {}
        self.log_connections: list[Any] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        cluster = self

        class Handler(_Handler):
            pass

        Handler.cluster = cluster
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.kubeconfig = folder / "kubeconfig"
        server = {"server": f"http://127.0.0.1:{self._server.server_address[1]}"}
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "fake", "cluster": server}],
                    "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": ""}}],
                    "current-context": "fake",
                }
            )
        )

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
        self._server.shutdown()
        self._server.server_close()

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [found for (_, k, _), found in list(self.objects.items()) if k == kind]

    def drop_log_connections(self) -> None:
        for connection in self.log_connections:
            connection.close_connection = True

    def create(self, namespace: str, kind: str, sent: dict[str, Any]) -> dict[str, Any]:
        version, name = _KINDS[kind]
        sent["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now(), "namespace": namespace}
        made = {"apiVersion": version, "kind": name, **sent}
        self.objects[(namespace, kind, sent["metadata"]["name"])] = made
        if kind == "jobs":
            self.created.append(json.loads(json.dumps(made)))
            threading.Thread(target=self._run, args=(namespace, made), daemon=True).start()
        return made

    def delete(self, namespace: str, kind: str, name: str) -> None:
        self.objects.pop((namespace, kind, name), None)
        if kind == "jobs":
            pod = f"{name}-pod"
            self.objects.pop((namespace, "pods", pod), None)
            if pod in self.processes:
                self.processes[pod].terminate()

    def _run(self, namespace: str, job: dict[str, Any]) -> None:
        """What the Job's controller and the node's kubelet do."""
        name, template = f"{job['metadata']['name']}-pod", job["spec"]["template"]
        labels = template["metadata"]["labels"] | {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
        pod = self.create(namespace, "pods", {"metadata": {"name": name, "labels": labels}, "spec": template["spec"]})
        pod["status"] = {"phase": "Pending"}
        while self.waiting is not None:
            pod["status"] = {"phase": "Pending", **self.waiting}
            time.sleep(0.05)
        (container,) = template["spec"]["containers"]
        variables = {v["name"]: v["value"] for v in container["env"]}
        self.logs[name] = []
        process = subprocess.Popen(
            [*self.program, *container["args"]],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.processes[name] = process
        pod["status"] = {"phase": "Running", "containerStatuses": [{"name": "step", "state": {"running": {}}}]}
        assert process.stdout
        for line in process.stdout:
            self.logs[name].append((_now(), line))
        ended = {"exitCode": process.wait(), "reason": "Completed"} | self.ended
        phase = "Failed" if ended["exitCode"] else "Succeeded"
        pod["status"] = {"phase": phase, "containerStatuses": [{"name": "step", "state": {"terminated": ended}}]}
        condition = {"type": "Failed" if ended["exitCode"] else "Complete", "status": "True"}
        job["status"] = {"conditions": [condition]}


class _Handler(BaseHTTPRequestHandler):
    cluster: FakeCluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, query = self._asked()
        if path in ("/api", "/apis", "/api/v1", "/apis/batch/v1"):
            return self._answer(200, _discovery(path))
        match = _PATH.fullmatch(path)
        if not match or self.cluster.broken:
            return self._fail(503 if self.cluster.broken else 404)
        namespace, kind, name, log = match.groups()
        if log:
            return self._log(name, query)
        if name:
            found = self.cluster.objects.get((namespace, kind, name))
            return self._answer(200, found) if found else self._fail(404)
        self._answer(200, self._list(namespace, kind, query))

    def do_POST(self) -> None:
        path, _ = self._asked()
        match = _PATH.fullmatch(path)
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not match or self.cluster.broken:
            return self._fail(503 if self.cluster.broken else 404)
        self._answer(201, self.cluster.create(match[1], match[2], sent))

    def do_DELETE(self) -> None:
        path, query = self._asked()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match = _PATH.fullmatch(path)
        if not match or self.cluster.broken:
            return self._fail(503 if self.cluster.broken else 404)
        namespace, kind, name, _ = match.groups()
        names = [name] if name else [o["metadata"]["name"] for o in self._list(namespace, kind, query)["items"]]
        for each in names:
            self.cluster.delete(namespace, kind, each)
        self._answer(200, {"apiVersion": "v1", "kind": "Status", "status": "Success"})

    def _asked(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        self.cluster.requests.append(f"{self.command} {parts.path}")
        return parts.path, parse_qs(parts.query)

    def _list(self, namespace: str, kind: str, query: dict[str, list[str]]) -> dict[str, Any]:
        wanted = (
            dict(term.split("=") for term in query["labelSelector"][0].split(",")) if "labelSelector" in query else {}
        )
        found = [
            made
            for (n, k, _), made in list(self.cluster.objects.items())
            if (n, k) == (namespace, kind) and wanted.items() <= made["metadata"].get("labels", {}).items()
        ]
        version, name = _KINDS[kind]
        return {"apiVersion": version, "kind": f"{name}List", "metadata": {}, "items": found}

    def _log(self, pod: str, query: dict[str, list[str]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = False
        self.cluster.log_connections.append(self)
        # Whole seconds, as the real one takes it.
        since, sent = query.get("sinceTime", [""])[0], 0
        while not self.close_connection:
            ended = self.cluster.processes[pod].poll() is not None
            lines = self.cluster.logs[pod]
            for stamp, line in lines[sent:]:
                if stamp[:19] >= since[:19]:
                    self._chunk(stamp.encode() + b" " + line)
            sent = len(lines)
            if ended and sent == len(self.cluster.logs[pod]):
                break
            time.sleep(0.02)
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _answer(self, code: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _fail(self, code: int) -> None:
        reason = {404: "NotFound", 503: "ServiceUnavailable"}[code]
        self._answer(code, {"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "code": code})

    def log_message(self, *_: Any) -> None:
        pass


def _discovery(path: str) -> dict[str, Any]:
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        version = {"groupVersion": "batch/v1", "version": "v1"}
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [{"name": "batch", "versions": [version], "preferredVersion": version}],
        }
    group = "v1" if path == "/api/v1" else "batch/v1"
    resources = [
        {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": True,
            "kind": kind,
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch"],
        }
        for plural, (version, kind) in _KINDS.items()
        if version == group
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources}


def _now() -> str:
    # Milliseconds, so that lines share their time, as they do where a clock is coarse.
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "000000Z"
