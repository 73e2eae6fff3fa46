"""BentoML and LitServe with the same SavedModel and the same decoding, in virtual environments that are thrown away."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environment, wrk
from benchmarks.h2load import Load
from benchmarks.processes import free_port, process

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
class Asked:
    """A rival that answers, in one of its settings."""

    name: str
    way: str  # with its version
    address: str
    body: bytes
    headers: dict[str, str]

    def load(self, clients: int, seconds: float) -> Load:
        return wrk.load(self.way, self.address, self.body, clients, seconds, self.headers)


@contextmanager
def serving(rival: Rival, folder: Path, saved_model: Path, image: bytes) -> Iterator[list[Asked]]:
    """`rival` in each of its settings, side by side. Raises InfrastructureError for whatever keeps it from serving."""
    place = folder / rival.package
    python = _installed(rival, place)
    version = _version(python, rival.package)
    with ExitStack() as stack:
        found = []
        for number, (way, settings) in enumerate(rival.settings.items()):
            address = stack.enter_context(_serving(rival, python, place, saved_model, settings, number))
            found.append(Asked(rival.name, f"{way} ({version})", address, *rival.body(image)))
            found[-1].load(32, 1)  # the first ones are slower
        yield found


def _installed(rival: Rival, place: Path) -> Path:
    """The Python of an environment with the package, and the service in it."""
    python = environment.installed(place, rival.package, _SHARED)
    (place / "service.py").write_text(rival.program)
    return python


def _version(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return environment.run(str(python), "-c", code)


@contextmanager
def _serving(
    rival: Rival, python: Path, place: Path, saved_model: Path, settings: dict[str, str], number: int
) -> Iterator[str]:
    port = free_port()
    command = [argument.replace("PORT", str(port)) for argument in rival.arguments]
    if "service.py" in command:
        command[command.index("service.py")] = str(place / "service.py")
    variables = {**settings, "SAVED_MODEL": str(saved_model), "BENTOML_DO_NOT_TRACK": "True"}
    variables |= {"TF_CPP_MIN_LOG_LEVEL": "2", "BENTOML_HOME": str(place / "home")}
    at = f"http://127.0.0.1:{port}"
    with process(command, at + rival.ready, place / f"log{number}", [str(python)], place, **variables):
        yield at + rival.path
