"""The graph of a SavedModel as data: parsing within limits, and what can be reached from where."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from google.protobuf.message import DecodeError

from inspection.text import few, shown
from trainyard.wire import saved_model_pb2 as wire  # pants: no-infer-dep

# Room for a multiple of what keras.applications needs: NASNetLarge takes 8 MB, EfficientNetV2L has 15,000 nodes.
MAX_GRAPH_BYTES = 32 << 20
MAX_NODES = 200_000  # of the graph and all of its functions
MAX_FUNCTIONS = 20_000
TAG = "serve"
_AGAIN = "export the model again."


def read(path: Path) -> tuple[wire.MetaGraphDef | None, list[str]]:
    """The one meta graph in the file, or the reason why there is none that can be looked at."""
    try:
        # O_NOFOLLOW: the entry may have become a link since the folder was listed.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            data = file.read(MAX_GRAPH_BYTES + 1)
    except OSError as error:
        return None, [f"{path.name} can't be read ({error.strerror}); {_AGAIN}"]
    if len(data) > MAX_GRAPH_BYTES:
        return None, [
            f"{path.name} is larger than {MAX_GRAPH_BYTES >> 20} MiB; a graph is small: keep weights in variables, "
            f"not in constants, and {_AGAIN}"
        ]
    try:
        model = wire.SavedModel.FromString(data)
    # Nested deeper than Protobuf follows, cut off, or not Protobuf at all.
    except (DecodeError, ValueError, RecursionError):
        return None, [f"{path.name} can't be parsed, it is cut off, damaged or something else; {_AGAIN}"]
    if len(model.meta_graphs) != 1:
        return None, [f"{path.name} holds {len(model.meta_graphs)} graphs, expected one, tagged '{TAG}'; {_AGAIN}"]
    meta = model.meta_graphs[0]
    tags = meta.meta_info_def.tags
    if list(tags[:2]) != [TAG]:
        given = ", ".join(f"'{shown(tag)}'" for tag in tags[:5]) or "none"
        return None, [f"The graph's tags are {given}, expected '{TAG}' alone; {_AGAIN}"]
    return _within_limits(meta)


def _within_limits(meta: wire.MetaGraphDef) -> tuple[wire.MetaGraphDef | None, list[str]]:
    functions = len(meta.graph_def.library.function)
    if functions > MAX_FUNCTIONS:
        return None, [f"The graph has {functions} functions, at most {MAX_FUNCTIONS} are looked at; make it smaller."]
    nodes = len(meta.graph_def.node) + sum(len(f.node_def) for f in meta.graph_def.library.function)
    if nodes > MAX_NODES:
        return None, [f"The graph has {nodes} operations, at most {MAX_NODES} are looked at; make it smaller."]
    return meta, []


def has_variables(meta: wire.MetaGraphDef) -> bool:
    return any(node.op == "VarHandleOp" for node in nodes_of(meta))


def nodes_of(meta: wire.MetaGraphDef) -> Iterator[wire.NodeDef]:
    """Every node, of the graph and of its functions."""
    yield from meta.graph_def.node
    for function in meta.graph_def.library.function:
        yield from function.node_def


def names(meta: wire.MetaGraphDef) -> list[str]:
    """Names that make it unclear what is meant, or lead out of the folder."""
    library = meta.graph_def.library
    reasons = [
        f"The graph has {count} {kind} named {shown(name)}, so it is unclear which one runs; {_AGAIN}"
        for kind, found in (
            ("nodes", Counter(node.name for node in meta.graph_def.node)),
            ("functions", Counter(function.signature.name for function in library.function)),
        )
        for name, count in found.items()
        if count > 1
    ]
    for asset in meta.asset_file_def:
        path = PurePosixPath(asset.filename)
        if path.is_absolute() or ".." in path.parts:
            reasons.append(f"The asset {shown(asset.filename)} lies outside the model's folder; {_AGAIN}")
    return few(reasons, "names")


def node_of(tensor: str) -> str:
    """The node, or the function's argument, that an input such as "a", "a:0", "a:output:0" or "^a" names."""
    return tensor.removeprefix("^").split(":", 1)[0]


@dataclass
class Reach:
    """What can run when something runs: nodes of the graph, and functions, whole."""

    nodes: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)


class Graph:
    """Nodes and functions of a meta graph by name."""

    def __init__(self, meta: wire.MetaGraphDef) -> None:
        self.meta = meta
        self.nodes: Mapping[str, wire.NodeDef] = {node.name: node for node in meta.graph_def.node}
        self.functions: Mapping[str, wire.FunctionDef] = {f.signature.name: f for f in meta.graph_def.library.function}

    def reach(self, nodes: Iterable[str], functions: Iterable[str] = ()) -> Reach:
        """All that `nodes` and `functions` need: inputs, what must run before, and functions called, in turn."""
        found = Reach()
        waiting, called = list(nodes), list(functions)
        while waiting or called:
            if waiting:
                name = waiting.pop()
                if name in self.nodes and name not in found.nodes:
                    found.nodes.add(name)
                    waiting += map(node_of, self.nodes[name].input)
                    called += self.calls(self.nodes[name].attr)
                continue
            name = called.pop()
            if name in self.functions and name not in found.functions:
                found.functions.add(name)
                called += self.calls(self.functions[name].attr)
                for node in self.functions[name].node_def:
                    called += self.calls(node.attr)
        return found

    def calls(self, attributes: Mapping[str, wire.AttrValue]) -> Iterator[str]:
        """Functions named by attributes, however deep; as text too, which is how gradients and variants are named."""
        for value in attributes.values():
            held = [value] if value.WhichOneof("value") != "list" else []
            texts = [one.s for one in held if one.s] + list(value.list.s)
            called = [one.func for one in held if one.HasField("func")] + list(value.list.func)
            for text in texts:
                if (name := text.decode(errors="replace")) in self.functions:
                    yield name
            for function in called:
                yield function.name
                yield from self.calls(function.attr)
