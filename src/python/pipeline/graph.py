"""The build graph, as Pants tells it: which targets there are, what they own, and what they need."""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

# A file of source code, by itself.
_SOURCE = "python_source"


# A tag of targets whose files are each found by their own name, as families of networks are.
_FOUND_BY_NAME = "found-by-name"


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
    # Files and folders that a target needs without its BUILD file saying so, by its address.
    watched: dict[str, set[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.dependents = {}
        self._tagged: dict[str, set[str]] = {}
        for target in self.targets.values():
            for dependency in target.dependencies:
                self.dependents.setdefault(dependency, set()).add(target.address)
            for tag in target.tags:
                self._tagged.setdefault(tag, set()).add(target.address)

    def watch(self, address: str, path: str) -> None:
        """Lets the target `address` need the file or folder `path` and, of source code, what that imports."""
        self.watched.setdefault(address, set()).add(path)
        owners = [t for t in self.targets.values() if any(s == path or s.startswith(f"{path}/") for s in t.sources)]
        for target in owners:
            # A target that lists several files needs them all; what stands for the one file does not.
            if target.kind == _SOURCE and target.address != address:
                self.dependents.setdefault(target.address, set()).add(address)

    def tagged(self, *tags: str) -> list[str]:
        """The addresses of the targets that have all of `tags`."""
        return sorted(set.intersection(*(self._tagged.get(tag, set()) for tag in tags)))

    def owners(self, present: Iterable[str], deleted: Iterable[str]) -> dict[str, str]:
        """Targets that a change of files touches directly, each with one file that touches it.

        A changed BUILD file touches every target it declares; a deleted one all that is declared in its folder, or else
        in the nearest above. Any other deleted file touches the targets that look for it and the other files they list:
        had another target owned it, then that one's BUILD file has changed too, or Pants would refuse the tree. Files
        that are each found by their own name (a tag says so) do not miss one that stood beside them. A folder among the
        paths, as Git tells of a submodule, touches whatever owns a file in it.
        """
        owned: dict[str, str] = {}
        present = set(present)
        # A submodule is told as one path, whatever of it has changed.
        around = sorted(present & self._folders())
        build_files = {_folder(path): path for path in sorted(present) if _is_build_file(path)}
        for target in self.targets.values():
            declared = build_files.get(target.folder)
            for path in sorted(target.sources & present) or ([declared] if declared else []):
                owned.setdefault(target.address, path)
            for path in around:
                if any(source.startswith(f"{path}/") for source in target.sources):
                    owned.setdefault(target.address, path)
        deleted = list(deleted)
        for path in deleted:
            for address in self._former_owners(path):
                owned.setdefault(address, path)
        for address, watched in self.watched.items():
            for path in sorted(present.union(deleted)):
                # Below what is watched or, of a submodule, around it.
                if any(f"{path}/".startswith(f"{place}/") or place.startswith(f"{path}/") for place in watched):
                    owned.setdefault(address, path)
        return owned

    def _folders(self) -> set[str]:
        """All that hold a file of some target, however deep."""
        found: set[str] = set()
        for target in self.targets.values():
            for source in target.sources:
                while (source := _folder(source)) and source not in found:
                    found.add(source)
        return found

    def _former_owners(self, path: str) -> list[str]:
        if _is_build_file(path):
            return [target.address for target in self._nearest(path)]
        lists = [target for target in self.targets.values() if target.looks_for(path)]
        beside = [target for target in lists if _FOUND_BY_NAME not in target.tags]
        files = [self.targets[name] for t in beside for name in t.dependencies if name in self.targets]
        former = lists + [file for file in files if file.generated and any(file.folder == t.folder for t in lists)]
        by_name = [address for target in lists if target not in beside for address in self._holders(target)]
        return [target.address for target in former] + by_name

    def _holders(self, listing: Target) -> set[str]:
        """Who depends on all that `listing` lists, as what is packaged does, and so on what it listed before too."""
        files = [name for name in listing.dependencies if name in self.targets and self.targets[name].generated]
        if not files:
            return set()
        return set.intersection(*(set(self.dependents.get(name, ())) for name in files)) - {listing.address}

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


def parse(peeked: Iterable[Mapping[str, Any]]) -> Graph:
    """The graph of what `pants peek` says, with the defaults: the globs of most targets are theirs."""
    return Graph({target.address: target for target in map(_target, peeked)})


def _target(peeked: Mapping[str, Any]) -> Target:
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
