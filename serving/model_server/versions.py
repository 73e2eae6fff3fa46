"""The life of one version: START -> LOADING -> AVAILABLE -> UNLOADING -> END."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from serving.model_server.errors import ServingError
from serving.model_server.model import SavedModel


class State(enum.IntEnum):
    """Numbers of tensorflow.serving.ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(eq=False)
class Version:
    """One version of one model. Guarded by the manager's lock."""

    model_name: str
    number: int
    path: str
    state: State = State.START
    error: ServingError | None = None
    wanted: bool = True
    model: SavedModel | None = None
    in_flight: int = 0
    failures: int = 0

    @property
    def settled(self) -> bool:
        """Whether its first try to load is over: nobody need wait longer for it at start."""
        return self.state >= State.AVAILABLE or self.failures > 0


@dataclass(eq=False)
class Served:
    """One configured (or formerly configured) model: its versions and labels. Guarded by the manager's lock."""

    name: str
    versions: dict[int, Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def latest(self) -> Version | None:
        """The highest version that answers."""
        available = [version for version in self.versions.values() if version.state is State.AVAILABLE]
        return max(available, key=lambda version: version.number, default=None)

    def want(self, paths: dict[int, str]) -> list[Version]:
        """Take note that just these versions are wanted; returns the ones to load, the highest first."""
        fresh = []
        for number, path in sorted(paths.items(), reverse=True):
            version = self.versions.get(number)
            if version is None or (version.state is State.END and not version.wanted):
                fresh.append(Version(self.name, number, path))
                self.versions[number] = fresh[-1]
            elif version.state is not State.UNLOADING:  # one that is just leaving comes again with a later look
                version.wanted = True
        for version in self.versions.values():
            version.wanted = version.wanted and version.number in paths
        return fresh

    def to_unload(self) -> list[Version]:
        """Versions that may go: no longer wanted, and another one answers in their place (or none is wanted at all)."""
        wanted = [version for version in self.versions.values() if version.wanted]
        if wanted and not any(version.state is State.AVAILABLE for version in wanted):
            return []
        return [v for v in self.versions.values() if not v.wanted and v.state is State.AVAILABLE]


def any_available(versions: Iterable[Version]) -> bool:
    """Whether one of `versions` answers."""
    return any(version.state is State.AVAILABLE for version in versions)
