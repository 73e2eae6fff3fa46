"""Adapters for tests: real gRPC, following a registry's models.config as a serving pod does, with faults on demand."""

import base64
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from registry import Registry, ServingState
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep

GOLDEN = base64.b64encode(b"an image").decode()
PROBABILITIES = [0.7, 0.2, 0.1]


@dataclass
class Pod(classifier_pb2_grpc.ClassifierServicer):
    """Loads a version after it was asked about it `slow` times."""

    registry: Registry
    model: str = "chest-xray"
    slow: int = 2
    never_loads: set[int] = field(default_factory=set)
    fails_to_load: set[int] = field(default_factory=set)
    never_switches: bool = False
    # Its model server does not poll: what it read first is all it knows.
    reads_once: bool = False
    probabilities: list[float] = field(default_factory=lambda: list(PROBABILITIES))
    answers_as: int | None = None
    address: str = ""
    # Every (versions, labels) it was told, in order, each once.
    told: list[tuple[tuple[int, ...], dict[str, int]]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    _seen: dict[int, int] = field(default_factory=dict)
    _labels: dict[str, int] = field(default_factory=dict)
    _first: ServingState | None = None

    def __post_init__(self) -> None:
        if self.reads_once:
            self._first = self.registry.serving()

    def GetModel(self, request: api.GetModelRequest, context: grpc.ServicerContext) -> api.GetModelResponse:
        serving = self._first or self.registry.serving()
        if not self.told or self.told[-1] != (serving.versions, serving.labels):
            self.told.append((serving.versions, dict(serving.labels)))
        states = {version: self._state(version) for version in serving.versions}
        # A label on a version that is not loaded is refused, and everything stays.
        if not self.never_switches and {states[version] for version in serving.labels.values()} <= {"AVAILABLE"}:
            self._labels = dict(serving.labels)
        return api.GetModelResponse(
            model=self.model,
            versions=[api.ModelVersion(version=version, state=state) for version, state in states.items()],
            version_labels=self._labels,
        )

    def Classify(self, request: api.ClassifyRequest, context: grpc.ServicerContext) -> api.ClassifyResponse:
        self.asked.append(request.version)
        labels = self.registry.record(request.version).labels
        scores = [
            api.ClassScore(label=label, probability=value)
            for label, value in zip(labels, self.probabilities, strict=True)
        ]
        return api.ClassifyResponse(
            label=labels[0], scores=scores, model=self.model, version=self.answers_as or request.version
        )

    def _state(self, version: int) -> str:
        self._seen[version] = self._seen.get(version, 0) + 1
        if version in self.never_loads or self._seen[version] <= self.slow:
            return "LOADING"
        return "END" if version in self.fails_to_load else "AVAILABLE"


@contextmanager
def running(*pods: Pod) -> Iterator[list[str]]:
    """The pods' addresses while they answer."""
    servers = []
    for pod in pods:
        server = grpc.server(futures.ThreadPoolExecutor(4))
        classifier_pb2_grpc.add_ClassifierServicer_to_server(pod, server)
        pod.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        servers.append(server)
    try:
        yield [pod.address for pod in pods]
    finally:
        for server in servers:
            server.stop(None).wait(10)
