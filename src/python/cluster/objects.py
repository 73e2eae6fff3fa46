"""The parts of Kubernetes' objects that are read here, as kubectl prints them. Any of them may be missing."""

from typing import TypedDict


class Metadata(TypedDict, total=False):
    name: str
    labels: dict[str, str]
    creationTimestamp: str


class Resources(TypedDict, total=False):
    requests: dict[str, str]
    limits: dict[str, str]


class Mount(TypedDict, total=False):
    name: str
    mountPath: str
    readOnly: bool


class Container(TypedDict, total=False):
    name: str
    image: str
    command: list[str]
    args: list[str]
    resources: Resources
    securityContext: dict[str, object]
    volumeMounts: list[Mount]


class PodSpec(TypedDict, total=False):
    initContainers: list[Container]
    containers: list[Container]
    volumes: list[dict[str, object]]
    restartPolicy: str
    activeDeadlineSeconds: int
    topologySpreadConstraints: list[dict[str, object]]


class Waiting(TypedDict, total=False):
    reason: str
    message: str


class Terminated(TypedDict, total=False):
    exitCode: int
    reason: str


class State(TypedDict, total=False):
    waiting: Waiting
    running: dict[str, object]
    terminated: Terminated


class ContainerStatus(TypedDict, total=False):
    name: str
    state: State
    lastState: State


class Condition(TypedDict, total=False):
    type: str
    status: str
    reason: str
    message: str


class PodStatus(TypedDict, total=False):
    phase: str
    reason: str
    message: str
    conditions: list[Condition]
    initContainerStatuses: list[ContainerStatus]
    containerStatuses: list[ContainerStatus]


class Pod(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: Metadata
    spec: PodSpec
    status: PodStatus


class Template(TypedDict, total=False):
    spec: PodSpec


class DeploymentSpec(TypedDict, total=False):
    template: Template


class Deployment(TypedDict, total=False):
    spec: DeploymentSpec


class JobStatus(TypedDict, total=False):
    conditions: list[Condition]


class Job(TypedDict, total=False):
    status: JobStatus
