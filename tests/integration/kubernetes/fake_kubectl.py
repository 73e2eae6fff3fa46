"""The command `kubectl` as far as a clone needs it: the containers of a pod are processes of this machine.

Flags and arguments are the pod's own; only its paths and ports are put where a machine that others share can have them.
"""

import contextlib
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

STATE = Path(os.environ["FAKE_KUBECTL"])
PROGRAMS = {"model-server": "serving.model_server", "adapter": "serving.adapter"}


def main(arguments: list[str]) -> None:
    with (STATE / "calls").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    assert arguments[:2] == ["--namespace", "trainyard-staging"], arguments
    match arguments[2:]:
        case ["get", "deployment", "serving", *_]:
            deployment = STATE / "deployment.json"
            print(deployment.read_text() if deployment.exists() else "")
        case ["get", "pod", name, *_]:
            print(json.dumps(_pod(name)) if (STATE / name).exists() else "")
        case ["create", "--validate=false", "--filename", "-"]:
            pod = json.load(sys.stdin)
            folder = STATE / pod["metadata"]["name"]
            folder.mkdir()
            (folder / "pod.json").write_text(json.dumps(pod))
        case ["exec", name, "--container", "models", "--stdin", "--", "tar", "-x", "-f", "-", "-C", into]:
            with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
                archive.extractall(STATE / name / "models", filter="data")
            config = STATE / name / "models" / "models.config"
            config.write_text(config.read_text().replace(into, str(config.parent)))
            (STATE / name / "copied").write_text(into)
        case ["exec", name, "--container", "models", "--", "touch", _]:
            _start(name)
        case ["exec", name, "--container", "model-server", "--", "sh", "-c", "cat /proc/[0-9]*/status"]:
            print(Path(f"/proc/{_pid(name, 'model-server')}/status").read_text())
        case ["logs", name, "--container", container, *more]:
            if "--previous" in more:
                sys.exit("Error from server: previous terminated container not found")
            print((STATE / name / f"{container}.log").read_text())
        case ["port-forward", target, *ports]:
            _relay(json.loads((STATE / target.removeprefix("pod/") / "ports").read_text()), ports)
        case ["delete", "pod", name, *_]:
            _delete(name)
        case ["delete", "pods", "--selector", "app=clone", "--field-selector", "status.phase=Failed", *_]:
            pass
        case _:
            sys.exit(f"error: the fake kubectl does not know {arguments}")


def _start(name: str) -> None:
    folder = STATE / name
    pod = json.loads((folder / "pod.json").read_text())
    ports = {"8080": _free_port(), "9090": _free_port()}
    (folder / "ports").write_text(json.dumps(ports))
    places = {
        "/run/trainyard": str(folder),
        "/etc/trainyard/batching.config": os.environ["FAKE_BATCHING"],
        (folder / "copied").read_text(): str(folder / "models"),
        "--host=0.0.0.0": "--host=127.0.0.1",
        **{f"-port={inside}": f"-port={port}" for inside, port in ports.items()},
    }
    for container in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]:
        if container["name"] not in PROGRAMS:
            continue
        words = [sys.executable, "-m", PROGRAMS[container["name"]], *container["args"]]
        for here, there in places.items():
            words = [word.replace(here, there) for word in words]
        place = folder / container["name"]
        command = f"{shlex.join(words)} & echo $! >{place}.pid; wait $!; echo $? >{place}.code"
        with open(f"{place}.log", "wb") as log:
            subprocess.Popen(["sh", "-c", command], stdout=log, stderr=log, start_new_session=True)


def _pod(name: str) -> dict[str, Any]:
    folder = STATE / name
    running = (folder / "ports").exists()
    statuses = {"models": {"terminated": {"exitCode": 0}} if running else {"running": {}}}
    for container in PROGRAMS:
        code = folder / f"{container}.code"
        if code.exists():
            ended = {"exitCode": int(code.read_text()), "reason": "Error"}
            oom = folder / "oom"
            statuses[container] = {"terminated": ended | ({"reason": "OOMKilled"} if oom.exists() else {})}
        else:
            statuses[container] = {"running": {}} if running else {"waiting": {"reason": "PodInitializing"}}
    listed = [{"name": container, "state": state} for container, state in statuses.items()]
    status = {"phase": "Running", "initContainerStatuses": listed[:2], "containerStatuses": listed[2:]}
    return json.loads((folder / "pod.json").read_text()) | {"status": status}


def _pid(name: str, container: str) -> int:
    return int((STATE / name / f"{container}.pid").read_text())


def _delete(name: str) -> None:
    for container in PROGRAMS:
        with contextlib.suppress(OSError, ValueError):
            os.kill(_pid(name, container), signal.SIGKILL)
    with contextlib.suppress(FileNotFoundError):
        (STATE / name).rename(STATE / f"deleted-{name}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _relay(inside: dict[str, int], ports: list[str]) -> None:
    listeners = {}
    for pair in ports:
        here, there = pair.split(":")
        listeners[socket.create_server(("127.0.0.1", int(here)))] = inside[there]
    while True:
        for listener in select.select(list(listeners), [], [])[0]:
            near = listener.accept()[0]
            try:
                far = socket.create_connection(("127.0.0.1", listeners[listener]))
            except OSError:
                near.close()  # as the real one does where nobody listens yet
                continue
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main(sys.argv[1:])
