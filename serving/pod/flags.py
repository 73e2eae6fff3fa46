"""The flags that production's two servers are started with, from the files beside the servers' configuration."""

from importlib import resources
from pathlib import Path

BATCHING_FILE = "batching.config"


def model_server_flags(models_config: str, batching_file: str, socket: str, poll_seconds: int) -> list[str]:
    """How a model server is started that listens on the Unix socket `socket` and nowhere else."""
    return [
        *_read("serving.tensorflow_serving", "model_server.flags"),
        "--port=0",
        f"--grpc_socket_path={socket}",
        f"--model_config_file={models_config}",
        f"--model_config_file_poll_wait_seconds={poll_seconds}",
        # The folder of versions: by default it would be listed every second, for which a bucket charges
        # (tensorflow/serving#1916). A new version is only looked for there once the configuration names it.
        f"--file_system_poll_wait_seconds={poll_seconds}",
        f"--batching_parameters_file={batching_file}",
    ]


def adapter_flags(socket: str, model: str, host: str, http_port: int, grpc_port: int) -> list[str]:
    """How an adapter is started that asks the model server behind `socket` for `model`."""
    place = [f"--host={host}", f"--http-port={http_port}", f"--grpc-port={grpc_port}"]
    return [*_read("serving.pod", "adapter.flags"), f"--backend=unix:{socket}", f"--model={model}", *place]


def write_batching(folder: Path) -> Path:
    """Puts the batching parameters where a model server can read them."""
    path = folder / BATCHING_FILE
    path.write_text(resources.files("serving.tensorflow_serving").joinpath(BATCHING_FILE).read_text("utf-8"), "utf-8")
    return path


def _read(package: str, name: str) -> list[str]:
    lines = resources.files(package).joinpath(name).read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
