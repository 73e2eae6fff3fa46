"""The build graph, as Pants tells it: which targets there are, what they own, and what they need."""

import json
import os
import re
import subprocess
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cli import InfrastructureError

# A change to one of these can change any target: they say which Pants builds, and how.
GLOBAL_FILES = ("pants.toml", "pants", "3rdparty/python/pants.lock", "3rdparty/python/pex.lock")


@dataclass(frozen=True)
class Target:
    address: str
    kind: str
    tags: frozenset[str]
    sources: frozenset[str]
    dependencies: frozenset[str]
    # What a target that lists files looks for, relative to its folder; "!" excludes.
    globs: tuple[str, ...] = ()

    def looks_for(self, path: str) -> bool:
        """Whether a file at `path` is, or would be, one of its sources."""
        prefix = f"{self.folder}/" if self.folder else ""
        if not path.startswith(prefix):
            return False
        inside = path.removeprefix(prefix)
        wanted = any(_matches(inside, glob) for glob in self.globs if not glob.startswith("!"))
        return wanted and not any(_matches(inside, glob[1:]) for glob in self.globs if glob.startswith("!"))

    @property
    def folder(self) -> str:
        """Where the BUILD file stands that declares it."""
        # src/python/imaging/decode.py:lib, ../decode.py:../lib (declared above), src/proto:py, //:quickstart
        path, _, name = self.address.removeprefix("//").partition("#")[0].partition(":")
        declared = PurePosixPath(path)
        if self.generated:
            declared = declared.parent
            for _ in range(name.count("../")):
                declared = declared.parent
        return "" if str(declared) == "." else str(declared)

    @property
    def generated(self) -> bool:
        """Whether it stands for a single file of a target that lists several."""
        return self.address.removeprefix("//").partition(":")[0] in self.sources


@dataclass
class Graph:
    targets: dict[str, Target]
    dependents: dict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.dependents = {}
        for target in self.targets.values():
            for dependency in target.dependencies:
                self.dependents.setdefault(dependency, set()).add(target.address)

    def owners(self, present: Iterable[str], deleted: Iterable[str]) -> dict[str, str]:
        """Targets that a change of files touches directly, each with one file that touches it.

        A changed BUILD file touches every target it declares; a deleted one all that is declared in its folder, or else
        in the nearest above. Any other deleted file touches the targets that look for it and the other files they list:
        had another target owned it, then that one's BUILD file has changed too, or Pants would refuse the tree.
        """
        owned: dict[str, str] = {}
        present = set(present)
        build_files = {_folder(path): path for path in sorted(present) if _is_build_file(path)}
        for target in self.targets.values():
            declared = build_files.get(target.folder)
            for path in sorted(target.sources & present) or ([declared] if declared else []):
                owned.setdefault(target.address, path)
        for path in deleted:
            for address in self._former_owners(path):
                owned.setdefault(address, path)
        return owned

    def _former_owners(self, path: str) -> list[str]:
        if _is_build_file(path):
            return [target.address for target in self._nearest(path)]
        lists = [target for target in self.targets.values() if target.looks_for(path)]
        files = [self.targets[name] for t in lists for name in t.dependencies if name in self.targets]
        former = lists + [file for file in files if file.generated and any(file.folder == t.folder for t in lists)]
        return [target.address for target in former]

    def _nearest(self, path: str) -> list[Target]:
        while path:
            path = _folder(path)
            if declared := [target for target in self.targets.values() if target.folder == path]:
                return declared
        return []

    def affected(self, owned: Iterable[str]) -> dict[str, str | None]:
        """Everything that needs one of `owned`, directly or not; each with the target it was reached from."""
        reached: dict[str, str | None] = dict.fromkeys(owned)
        queue = deque(reached)
        while queue:
            address = queue.popleft()
            for dependent in sorted(self.dependents.get(address, ())):
                if dependent not in reached:
                    reached[dependent] = address
                    queue.append(dependent)
        return reached


def read(root: Path) -> Graph:
    """Asks Pants for the whole graph of the checkout at `root`.

    Raises:
        InfrastructureError: Pants can't be started, or a BUILD file is broken.
    """
    # With the defaults: the globs of most targets are theirs.
    result = run_pants(root, "peek", "::")
    if result.returncode:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()] or ["it said nothing"]
        telling = [line for line in lines if re.match(r"[A-Za-z]*(Error|Exception)\b", line)]
        raise InfrastructureError(f"Pants can't read the build graph of {root}: {(telling or lines)[-1]}")
    return Graph({t.address: t for t in map(_target, json.loads(result.stdout))})


def run_pants(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Pants in `root`, also from inside a `pants run`: see `nested_environment`."""
    return subprocess.run(
        [str(root / "pants"), *arguments], cwd=root, env=nested_environment(), capture_output=True, text=True
    )


def nested_environment() -> dict[str, str]:
    """An environment in which Pants starts although another Pants runs in the same checkout.

    A Pants daemon serves one call at a time, and `pants run` of this very program holds it. A second daemon with files
    of its own stays warm between calls, where PANTS_CONCURRENT would start cold every time.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PEX_", "PYTHONPATH"))}
    environment["PANTS_SUBPROCESSDIR"] = ".pants.d/nested/pids"
    environment["PANTS_WORKDIR"] = ".pants.d/nested/workdir"
    return environment


def fresh_environment() -> dict[str, str]:
    """An environment in which a Pants of another checkout starts as from a shell, not as inside this program's."""
    own = ("PEX_", "PYTHONPATH", "PANTS_CONCURRENT", "PANTS_SUBPROCESSDIR", "PANTS_WORKDIR")
    return {key: value for key, value in os.environ.items() if not key.startswith(own)}


def _target(peeked: dict) -> Target:
    return Target(
        address=peeked["address"],
        kind=peeked["target_type"],
        tags=frozenset(peeked.get("tags") or ()),
        sources=frozenset(peeked.get("sources") or ()),
        dependencies=frozenset(peeked.get("dependencies") or ()),
        globs=tuple(peeked.get("sources_raw") or ()),
    )


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _is_build_file(path: str) -> bool:
    # Pants reads BUILD.anything beside BUILD.
    name = path.rpartition("/")[2]
    return name == "BUILD" or name.startswith("BUILD.")


def _matches(path: str, glob: str) -> bool:
    # Pants' globs: `**` crosses folders, `*` does not.
    pattern = re.escape(glob).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return re.fullmatch(pattern, path) is not None
