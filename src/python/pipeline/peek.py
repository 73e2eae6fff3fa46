"""Reads the build graph, and remembers it as long as nothing has changed that Pants makes it of.

A graph is made of the files' names, of BUILD files and what else Pants reads as a whole, and of what source files
import. So a commit that changes what functions do needs no Pants to be planned. When in doubt Pants is asked.
"""

import ast
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from pydantic import BaseModel

from cli.git import git
from pipeline.changes import state_of
from pipeline.graph import Graph, Target, parse
from pipeline.pants import failure, run_pants

# Raised whenever what is remembered, or what it depends on, takes another form.
_FORMAT = 1
# Where Pants itself keeps what it can make again.
_MEMORY = Path(".pants.d/trainyard/graph.json")
_SOURCES = (".py", ".pyi")
# Nothing in these is read by Pants; that they are there is part of the graph. A .toml may list requirements.
_UNREAD = (
    ".md",
    ".png",
    ".jpg",
    ".jpeg",
    ".svg",
    ".html",
    ".css",
    ".js",
    ".json",
    ".yaml",
    ".yml",
    ".tf",
    ".sh",
    ".dvc",
)
_UNREAD_TOML = ("trainyard.toml", "model.toml", "limits.toml")
# Variables that say where Pants keeps things, not what a tree means to it.
_PLACES = ("PANTS_SUBPROCESSDIR", "PANTS_WORKDIR", "PANTS_CONCURRENT", "PANTS_BIN", "PANTS_PEX_CLI_URL_TEMPLATE")


def read(root: Path) -> Graph:
    """The whole graph of the checkout at `root`.

    Raises:
        UsageError: the tree is none that Pants takes, as with a broken BUILD file or a dependency that is not allowed.
        InfrastructureError: Pants can't be started.
    """
    memory = _Memory(root / _MEMORY)
    key = _key(root, memory)
    if (found := memory.graph(key)) is not None:
        return found
    result = run_pants(root, "peek", "::")
    if result.returncode:
        raise failure(root, result.stderr)
    made = parse(json.loads(result.stdout))
    # The tree may have been edited meanwhile.
    if _key(root, memory) == key:
        memory.keep(key, made)
    return made


class _Kept(BaseModel):
    """A target, as JSON holds it."""

    address: str
    kind: str
    tags: list[str]
    sources: list[str]
    dependencies: list[str]
    globs: list[str]


class _Was(BaseModel):
    """What was remembered."""

    key: str = ""
    imports: dict[str, str] = {}
    targets: list[_Kept] = []


class _Memory:
    """The graph of the tree that was read last, and what each of its source files imports."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._was = _Was()
        # Content -> imports, of the files that there are now.
        self.imports: dict[str, str] = {}
        try:
            found = json.loads(file.read_text("utf-8"))
            if found["format"] == _FORMAT:
                self._was = _Was.model_validate(found)
        except (OSError, ValueError, KeyError, TypeError):  # ValidationError is a ValueError
            pass  # asked again

    def known(self, blob: str) -> str | None:
        return self._was.imports.get(blob)

    def graph(self, key: str) -> Graph | None:
        if self._was.key != key:
            return None
        return Graph({target.address: target for target in map(_target, self._was.targets)})

    def keep(self, key: str, graph: Graph) -> None:
        targets = [
            {name: sorted(value) if isinstance(value, frozenset) else value for name, value in asdict(target).items()}
            for target in graph.targets.values()
        ]
        content = {"format": _FORMAT, "key": key, "imports": self.imports, "targets": targets}
        try:
            # Below a folder that Pants itself has made, or else nobody told Git to ignore it.
            self._file.parent.mkdir(exist_ok=True)
            draft = self._file.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(content), "utf-8")
            os.replace(draft, self._file)
        except OSError:
            pass  # a folder that can't be written to: Pants is asked every time


def _target(kept: _Kept) -> Target:
    return Target(
        kept.address,
        kept.kind,
        frozenset(kept.tags),
        frozenset(kept.sources),
        frozenset(kept.dependencies),
        tuple(kept.globs),
    )


def _key(root: Path, memory: _Memory) -> str:
    """A digest of all that the graph is made of."""
    # As .gitignore alone says it: Pants knows nothing of what else Git is told to ignore.
    tracked = git(root, "ls-files", "--stage", "-z").stdout
    changed = git(
        root, "ls-files", "--modified", "--deleted", "--others", "--exclude-per-directory=.gitignore", "-z"
    ).stdout
    blobs: dict[str, str] = {}
    for line in filter(None, tracked.split("\0")):
        about, _, path = line.partition("\t")
        blobs[path] = about.split(" ")[1]
    for path in set(filter(None, changed.split("\0"))):
        if (root / path).is_file():
            blobs[path] = _blob((root / path).read_bytes())
        elif (root / path / ".git").exists():  # a submodule
            blobs[path] = state_of(root / path)
        else:
            blobs.pop(path, None)
    digest = hashlib.sha256()
    variables = {k: v for k, v in os.environ.items() if k.startswith("PANTS_") and k not in _PLACES}
    digest.update(json.dumps([_FORMAT, sorted(variables.items())]).encode())
    for file in (Path("/etc/pantsrc"), Path("~/.pants.rc").expanduser(), root / ".pants.rc"):
        digest.update(file.read_bytes() if file.is_file() else b"none")
    memory.imports = {}
    for path, blob in sorted(blobs.items()):
        digest.update(f"{path}\0{_part(root / path, path, blob, memory)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _part(file: Path, path: str, blob: str, memory: _Memory) -> str:
    """What of a file the graph depends on."""
    name = PurePosixPath(path)
    if name.suffix in _SOURCES:
        if blob not in memory.imports:
            memory.imports[blob] = memory.known(blob) or _imports(file.read_bytes())
        return memory.imports[blob]
    if name.suffix in _UNREAD or name.name in _UNREAD_TOML or path.startswith("datasets/"):
        return ""
    return blob


def _imports(source: bytes) -> str:
    """A digest of what Pants finds dependencies by in a source file, or of all of it where that can't be told."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return hashlib.sha256(source).hexdigest()
    lines = source.split(b"\n")
    telling = {number for number, line in enumerate(lines, 1) if b"import" in line.lower() or b"pants:" in line}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            telling.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.ExceptHandler):
            telling.add(node.lineno)  # an import that may fail may have no owner
    # An __init__.py is depended upon once there is something in it.
    found = [b"empty" if not source.strip() else b"code", *(lines[n - 1] for n in sorted(telling))]
    return hashlib.sha256(b"\n".join(found)).hexdigest()


def _blob(content: bytes) -> str:
    """As Git names a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
