"""BentoML and LitServe with the same SavedModel and the same decoding, in virtual environments that are thrown away."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import environment, wrk
from benchmarks.h2load import Load
from benchmarks.processes import free_port, process
from cli import InfrastructureError

# What TensorFlow was built with has to stay as it is here.
_SHARED = ("numpy", "protobuf", "grpcio", "pillow")
_BOUNDARY = "of-the-benchmark"

_BENTOML = """
import os
from typing import Annotated

import bentoml
from bentoml.validators import ContentType

from benchmarks.bare_model import BareModel
from imaging.array import canonical


@bentoml.service(workers=int(os.environ["WORKERS"]), traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Classifier:
    def __init__(self):
        self.model = BareModel(os.environ["SAVED_MODEL"])

    @bentoml.api
    def classify(self, image: Annotated[bytes, ContentType("image/png")], /) -> dict:
        return self.model.classes(canonical(image, self.model.size)[None])[0]
"""
_LITSERVE = """
import os
import sys

import litserve
import numpy as np
from fastapi import UploadFile

from benchmarks.bare_model import BareModel
from imaging.array import canonical

BATCH = int(os.environ["BATCH"])


class Classifier(litserve.LitAPI):
    def setup(self, device):
        self.model = BareModel(os.environ["SAVED_MODEL"])

    def decode_request(self, request: UploadFile):
        return canonical(request.file.read(), self.model.size)

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, pixels):
        return self.model.classes(pixels) if BATCH > 1 else self.model.classes(pixels[None])[0]

    def unbatch(self, outputs):
        return outputs

    def encode_response(self, classes):
        return classes


if __name__ == "__main__":
    api = Classifier(max_batch_size=BATCH, batch_timeout=0.001 if BATCH > 1 else 0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(os.environ["WORKERS"]))
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
"""


@dataclass(frozen=True)
class Rival:
    """A server, and how it is set up: several ways, as it is not for us to say which is its best."""

    name: str
    package: str
    program: str
    arguments: tuple[str, ...]  # PORT stands for the port
    ready: str
    path: str
    settings: dict[str, dict[str, str]]
    form: bool = False

    def body(self, image: bytes) -> tuple[bytes, dict[str, str]]:
        if not self.form:
            return image, {"Content-Type": "image/png"}
        head = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="request"; filename="x.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        )
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        return head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode(), {"Content-Type": kind}


RIVALS = (
    Rival(
        "BentoML",
        "bentoml",
        _BENTOML,
        ("-m", "bentoml", "serve", "service:Classifier", "--host=127.0.0.1", "--port=PORT"),
        "/readyz",
        "/classify",
        {"BentoML, 1 worker": {"WORKERS": "1"}, "BentoML, 2 workers": {"WORKERS": "2"}},
    ),
    Rival(
        "LitServe",
        "litserve",
        _LITSERVE,
        ("service.py", "PORT"),
        "/health",
        "/predict",
        {
            "LitServe, batches of 32": {"WORKERS": "1", "BATCH": "32"},
            "LitServe, 2 workers": {"WORKERS": "2", "BATCH": "1"},
        },
        form=True,
    ),
)


@dataclass(frozen=True)
class Comparison:
    """What a rival did; or why it could not be asked."""

    name: str
    version: str
    loads: list[Load] = field(default_factory=list)
    missing: str | None = None

    def best(self, clients: int) -> float:
        """Requests a second in the setting that was better."""
        return max(load.rate for load in self.loads if load.clients == clients)

    def quickest(self) -> float:
        """The p50 in ms at one client, likewise."""
        return min(load.p50 for load in self.loads if load.clients == 1)


def compare(
    rival: Rival, folder: Path, saved_model: Path, image: bytes, clients: tuple[int, ...], seconds: float
) -> Comparison:
    """The loads of `rival` in each of its settings. Whatever keeps it from being asked is told, and nothing raised."""
    place = folder / rival.package
    try:
        python = _installed(rival, place)
        number = _version(python, rival.package)
        body, headers = rival.body(image)
        loads = []
        for way, settings in rival.settings.items():
            with _serving(rival, python, place, saved_model, settings) as address:
                wrk.load(way, address, body, max(clients), 1, headers)
                loads += [wrk.load(way, address, body, count, seconds, headers) for count in clients]
        return Comparison(rival.name, number, loads)
    except InfrastructureError as error:
        return Comparison(rival.name, "", missing=f"{rival.name} was not compared: {str(error)[:300]}")


def _installed(rival: Rival, place: Path) -> Path:
    """The Python of an environment with the package, and the service in it."""
    python = environment.installed(place, rival.package, _SHARED)
    (place / "service.py").write_text(rival.program)
    return python


def _version(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return environment.run(str(python), "-c", code)


@contextmanager
def _serving(rival: Rival, python: Path, place: Path, saved_model: Path, settings: dict[str, str]) -> Iterator[str]:
    port = free_port()
    command = [argument.replace("PORT", str(port)) for argument in rival.arguments]
    if "service.py" in command:
        command[command.index("service.py")] = str(place / "service.py")
    variables = {**settings, "SAVED_MODEL": str(saved_model), "BENTOML_DO_NOT_TRACK": "True"}
    variables |= {"TF_CPP_MIN_LOG_LEVEL": "2", "BENTOML_HOME": str(place / "home")}
    at = f"http://127.0.0.1:{port}"
    with process(command, at + rival.ready, place / "log", [str(python)], place, **variables):
        yield at + rival.path
