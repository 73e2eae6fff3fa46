"""Where steps run: one protocol, and an implementation for each place. Which one is chosen here, and nowhere else."""

from collections.abc import Callable

from contracts.executor import Executor
from pipeline.executors.docker import Docker
from pipeline.executors.kubernetes import Kubernetes
from pipeline.executors.local import Local, Modules
from pipeline.executors.protocol import Job, Steps

_ALL: dict[Executor, Callable[[Job], Steps]] = {
    Executor.LOCAL: Local,
    Executor.DOCKER: Docker,
    Executor.KUBERNETES: Kubernetes,
}


def make(executor: str, job: Job) -> Steps:
    """The executor of this name.

    Raises:
        UsageError: there is none, or it can't reach what `job` needs.
    """
    return _ALL[Executor.named(executor)](job)


__all__ = ["Job", "Modules", "Steps", "make"]
