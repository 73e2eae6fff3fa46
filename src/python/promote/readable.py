"""Whether servers that run as another user can read the files they have to load."""

import os
from collections.abc import Iterator
from pathlib import Path

from contracts import location
from contracts.location import Local
from registry import Registry


def hint(registry: Registry, version: int) -> str:
    """A sentence about the first file or folder on the way that its owner alone can read; empty where there is none."""
    place = location.parse(registry.store.uri("production"), "registry")
    if not isinstance(place, Local):
        return ""
    for path in _way(place.path, Path(registry.models_config()), place.path / str(version)):
        mode = os.stat(path).st_mode & 0o7777
        # Of the folders above it has to be gone through, no more.
        needed = 0o004 if path.is_file() else 0o005 if path.is_relative_to(place.path) else 0o001
        if mode & needed != needed:
            return (
                f" {path} has mode {mode:04o}: a server of another user can't read it; "
                f"`chmod -R o+rX {place.path.parent.parent}` lets it."
            )
    return ""


def _way(production: Path, config: Path, version: Path) -> Iterator[Path]:
    yield from reversed(production.parents)
    yield production
    for path in (config, version, *sorted(version.rglob("*"))):
        if path.exists():
            yield path
