"""What Docker Compose is told: two containers that reach nobody but each other."""

import os
from dataclasses import dataclass
from pathlib import Path

from serving.pod import flags

PROGRAMS = ("adapter", "model_server")
# Of the images (infra/docker/Dockerfile).
_IMAGE_USER = 10001
_SOCKETS = "/run/trainyard"
_SOCKET = f"{_SOCKETS}/model_server.sock"
# TensorFlow Serving's image would add flags of its own in its entry point.
_ORIGINAL_PROGRAM = "tensorflow_model_server"


@dataclass(frozen=True)
class ComposeFile:
    """One pod, named `project`; the other fields are ComposePod's arguments."""

    project: str
    models_config: Path
    model: str
    images: dict[str, str]
    original: bool
    memory_limit_mib: float
    more_flags: tuple[str, ...]

    def container(self, program: str) -> str:
        """The name of one of PROGRAMS' containers."""
        return f"{self.project}-{program}"

    @property
    def volume(self) -> str:
        """Of the socket between the two."""
        return f"{self.project}_sockets"

    @property
    def network(self) -> str:
        """Compose makes it for the adapter, where the engine has any."""
        return f"{self.project}_default"

    def content(self, http_port: int, grpc_port: int, bridged: bool) -> dict[str, object]:
        """The file, as JSON. An engine without a network (`bridged` false) lends the machine's loopback."""
        folder = str(self.models_config.parent)
        batching = str(self.models_config.parent / flags.BATCHING_FILE)
        model_server = self._service("model_server") | {
            "command": [*flags.model_server_flags(str(self.models_config), batching, _SOCKET, 0), *self.more_flags],
            "network_mode": "none",
            "volumes": [f"{folder}:{folder}:ro", f"sockets:{_SOCKETS}"],
        }
        if self.original:
            model_server["entrypoint"] = [_ORIGINAL_PROGRAM]
        ports = (8080, 9090) if bridged else (http_port, grpc_port)
        adapter = self._service("adapter") | {
            "command": flags.adapter_flags(_SOCKET, self.model, "0.0.0.0" if bridged else "127.0.0.1", *ports),
            "volumes": [f"sockets:{_SOCKETS}"],
            # So it leaves first, too, and can finish what it is answering.
            "depends_on": ["model_server"],
        }
        if bridged:
            adapter["ports"] = [f"127.0.0.1:{http_port}:{ports[0]}", f"127.0.0.1:{grpc_port}:{ports[1]}"]
        else:
            adapter["network_mode"] = "host"
        # In memory, so that it works where a folder of the machine can't hold a socket of a container.
        tmpfs = {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "mode=1777,size=1m"}}
        services = {"model_server": model_server, "adapter": adapter}
        return {"version": "2.4", "services": services, "volumes": {"sockets": tmpfs}}

    def _service(self, program: str) -> dict[str, object]:
        user = (os.getuid(), os.getgid()) if os.getuid() else (_IMAGE_USER, _IMAGE_USER)
        return {
            "image": self.images[program],
            "container_name": self.container(program),
            "user": "{}:{}".format(*user),
            "init": True,
            "read_only": True,
            "tmpfs": ["/tmp"],
            "cap_drop": ["ALL"],
            # With SELinux a container would not reach what is mounted.
            "security_opt": ["no-new-privileges:true", "label:disable"],
            "mem_limit": f"{self.memory_limit_mib:.0f}m",
            "memswap_limit": f"{self.memory_limit_mib:.0f}m",
            # The pod's readiness is asked for from outside.
            "healthcheck": {"disable": True},
        }
