"""Two serving pods under steady requests while one version after the other goes into production."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cli import InfrastructureError
from contracts.record import Golden
from promote.intent import Action
from promote.pods import Pods
from promote.rollover import Rollover
from registry import Keys, Registry
from serving.pod import LocalPod
from settings.schema import Mail
from testkit import load, windows

MODEL = "chest-xray"
LABELS = ["COVID", "Normal", "Viral Pneumonia"]
# So many models of different weights take turns as the versions.
MODELS = 4
# Golden requests a record, as training keeps.
GOLDEN = 6
TIMEOUT = 120.0  # seconds for the pods to load, and again to switch

# Writes the model number N to a folder; returns what it answers: image -> class -> probability.
MakeModel = Callable[[int, Path], list[dict[str, float]]]


class Bench:
    """A registry with version 1 in production, and the pods that serve it."""

    def __init__(
        self, folder: Path, make_model: MakeModel, images: Sequence[bytes], image_size: int, models: int = MODELS
    ) -> None:
        self.folder, self.images, self._size = folder, images, image_size
        self.registry = Registry.open(str(folder / "registry"), MODEL, Keys.of("", [], str(folder / "registry")))
        self._models = [folder / f"model-{number}" for number in range(models)]
        self._answers = [make_model(number, place) for number, place in enumerate(self._models)]
        self.pods: list[LocalPod] = []
        self.switches: list[windows.Switch] = []
        # Version -> what its model answers when nobody switches anything.
        self.expected: dict[int, list[dict[str, float]]] = {}

    def publish(self) -> int:
        """The next version, tested: the next model's files, signed like any other."""
        record = self.registry.create("train", labels=LABELS, image_size=self._size)
        number = record.version % len(self._models)
        self.expected[record.version] = self._answers[number]
        golden = [
            Golden(image=base64.b64encode(image).decode(), probabilities=[scores[label] for label in LABELS])
            for image, scores in zip(self.images, self._answers[number], strict=True)
        ]
        self.registry.publish(record.version, self._models[number])
        verdict = {"kind": "test", "passed": True, "at": record.created}
        self.registry.add_verdict(record.version, verdict, state="tested", golden=golden[:GOLDEN])
        return record.version

    @contextmanager
    def serving(self, count: int) -> Iterator[None]:
        """Version 1 in production, on so many pods."""
        self._switch("promote", self.publish())
        with ExitStack() as stack:
            config, logs = self.registry.models_config(), self.folder / "logs"
            pods = [LocalPod(config, MODEL, logs / str(number)) for number in range(count)]
            with ThreadPoolExecutor(count) as threads:
                self.pods = list(threads.map(stack.enter_context, pods))
            self.switches.clear()
            yield

    def promote(self) -> None:
        self._switch("promote", self.publish())

    def roll_back(self, version: int) -> None:
        self._switch("rollback", version)

    def _switch(self, action: Action, version: int) -> None:
        steps: dict[str, float] = {}
        addresses = [pod.address for pod in self.pods]
        rollover = Rollover(
            self.registry,
            Pods(addresses),
            Mail(outbox=str(self.folder / "outbox")),
            TIMEOUT,
            # Each step is told when it is done.
            say=lambda line: steps.setdefault(line.split()[0], time.monotonic()),
        )
        began = time.monotonic()
        rollover.run(action, version, "benchmark", "measured")
        ended = time.monotonic()
        released, announced = steps.get("ask", began), steps.get("confirm", ended)
        self.switches.append(windows.Switch(action, version, began, released, announced, ended))


@contextmanager
def asked(bench: Bench, rate: float, output: Path) -> Iterator[None]:
    """Requests run inside the context; `output` gets a line for each."""
    files = []
    for number, image in enumerate(bench.images):
        files.append(bench.folder / f"{number}.png")
        files[-1].write_bytes(image)
    orders = {
        "pods": [(pod.address, pod.url) for pod in bench.pods],
        "images": [str(file) for file in files],
        "rate": rate,
        "output": str(output),
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)}
    with subprocess.Popen(
        [sys.executable, "-m", "testkit.load"], stdin=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdin
        process.stdin.write(json.dumps(orders) + "\n")
        process.stdin.flush()
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=60)
    if process.returncode:
        raise InfrastructureError(f"The process that asks ended with exit code {process.returncode}.")


def measure(
    bench: Bench, switches: int, requests: int, rate: float, pause: float, say: Callable[[str], None]
) -> windows.Account:
    """`switches` promotions and as many rollbacks, `pause` seconds apart, while at least `requests` requests run."""
    output = bench.folder / "requests.jsonl"
    with asked(bench, rate, output):
        began = time.monotonic()
        while not output.exists() or not output.stat().st_size:
            time.sleep(0.1)
        time.sleep(pause)
        for number in range(switches):
            bench.promote()
            time.sleep(pause)
            bench.roll_back(1)
            time.sleep(pause)
            if (number + 1) % 5 == 0:
                say(f"{number + 1} promotions and rollbacks after {time.monotonic() - began:.0f} s")
        while _lines(output) < requests:
            time.sleep(1)
    return windows.account(load.read(output), 1, bench.switches, bench.expected)


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
