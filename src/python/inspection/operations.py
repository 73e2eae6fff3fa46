"""Which operations a model uses, where, and whether it may.

A server feeds the saver's file name and runs its restoring node when it loads the model; only from there may variables
be read from files, and only from that name. What anything but the saver can reach, and what nobody reaches, has to do
without (docs/decisions/0005).
"""

import re
from collections.abc import Iterator

from inspection.allowed import ALLOWED, REFUSED, RESTORING, SAVING
from inspection.graph import Graph, Reach, node_of, nodes_of
from inspection.text import few, shown
from trainyard.wire import saved_model_pb2 as wire  # pants: no-infer-dep

# Run by a server after restoring, by the name of the collection.
_INITIALISATION = ("saved_model_main_op", "legacy_init_op")
_OURS = "src/python/inspection/allowed.py"


def check(meta: wire.MetaGraphDef) -> list[str]:
    """The operations that `meta` must not use, one sentence each, with the first place."""
    graph, saver = Graph(meta), meta.saver_def
    restoring = graph.reach([node_of(saver.restore_op_name)])
    saving = graph.reach([node_of(saver.save_tensor_name)])
    served = _served(graph, restoring, saving)
    places: dict[str, list[str]] = {}
    for place, node, allowed in _judged(graph, served, restoring):
        if node.op not in allowed:
            places.setdefault(node.op, []).append(place)
    reasons = [_sentence(operation, found) for operation, found in places.items()]
    reasons += [
        f"The function {shown(name)} has the name of an operation, so it is unclear which one runs; rename it."
        for name in graph.functions
        if name in ALLOWED | RESTORING | SAVING
    ]
    return few(reasons + list(_read_elsewhere(graph, restoring)), "operations")


def _served(graph: Graph, restoring: Reach, saving: Reach) -> Reach:
    """What may run without the saver: at a request, at loading, when a program calls the model's functions.

    Nodes and functions that the saver does not reach count as well, though perhaps nobody runs them.
    """
    meta = graph.meta
    tensors = [
        info.name
        for signature in meta.signature_def.values()
        for info in (*signature.inputs.values(), *signature.outputs.values())
    ]
    for name in _INITIALISATION:
        if name in meta.collection_def:
            tensors += meta.collection_def[name].node_list.value
    library = meta.graph_def.library
    functions = [
        *meta.object_graph_def.concrete_functions,
        *(gradient.gradient_func for gradient in library.gradient),
        *(gradient.gradient_func for gradient in library.registered_gradients),
    ]
    nodes = [*map(node_of, tensors), *(graph.nodes.keys() - restoring.nodes - saving.nodes)]
    return graph.reach(nodes, [*functions, *(graph.functions.keys() - restoring.functions - saving.functions)])


def _judged(graph: Graph, served: Reach, restoring: Reach) -> Iterator[tuple[str, wire.NodeDef, frozenset[str]]]:
    """(place, node, operations allowed there) of every node; a part that several share has the rights of the least."""

    def rights(is_served: bool, restores: bool) -> frozenset[str]:
        if is_served:
            return ALLOWED
        return ALLOWED | RESTORING if restores else ALLOWED | SAVING

    for node in graph.meta.graph_def.node:
        name = node.name
        allowed = rights(name in served.nodes, name in restoring.nodes)
        yield f"at {shown(name)} in the graph itself", node, allowed
    for function in graph.meta.graph_def.library.function:
        name = function.signature.name
        allowed = rights(name in served.functions, name in restoring.functions)
        for node in function.node_def:
            yield f"in function {shown(name)}", node, allowed


def _sentence(operation: str, places: list[str]) -> str:
    others = f" and {len(places) - 1} more of it" if len(places) > 1 else ""
    subject = f"The model uses the operation {shown(operation) or '(no name)'} ({places[0]}{others})"
    for expression, reason in REFUSED.items():
        if re.fullmatch(expression, operation):
            return f"{subject}: {reason}; take it out of the served function and export the model again."
    if operation in SAVING:
        return f"{subject}: only saving variables needs it; take it out of the served function and export again."
    return (
        f"{subject}: it is not among the operations that a model may use; do without it, or, if it only computes, have "
        f"it added to {_OURS}."
    )


def _read_elsewhere(graph: Graph, restoring: Reach) -> Iterator[str]:
    """Restoring from any file but the one whose name the server feeds."""
    fed, restored, arguments = _file_name(graph)
    reads = [("", node) for name in sorted(restoring.nodes) if (node := graph.nodes[name]).op in RESTORING]
    for name in sorted(restoring.functions):
        reads += [(name, node) for node in graph.functions[name].node_def if node.op in RESTORING]
    for function, node in reads:
        source = node.input[0] if node.input else ""
        # In a function an argument has no colon: "a:0" would be an output of some node of that name.
        right = source in arguments and function == restored if function else node_of(source) == fed
        if not right or not source:
            where = f"in function {shown(function)}" if function else f"at {shown(node.name)} in the graph itself"
            yield (
                f"The model uses the operation {node.op} ({where}) on a file of its own choice, not on its variables: "
                "it can read files of the server; export the model again with tf.saved_model.save."
            )


def _file_name(graph: Graph) -> tuple[str, str, set[str]]:
    """Where the name of the variables' file is: the node that is fed; the restoring function; its arguments with it.

    The function counts if the restoring node is the one place that calls it.
    """
    saver = graph.meta.saver_def
    fed = node_of(saver.filename_tensor_name)
    # One output, so that whatever comes from this node is what was fed.
    if fed not in graph.nodes or graph.nodes[fed].op not in ("Placeholder", "PlaceholderWithDefault"):
        return "", "", set()
    caller = graph.nodes.get(node_of(saver.restore_op_name))
    if caller is None or caller.op not in ("PartitionedCall", "StatefulPartitionedCall") or "f" not in caller.attr:
        return fed, "", set()
    restored = caller.attr["f"].func.name
    calls = sum(name == restored for node in nodes_of(graph.meta) for name in graph.calls(node.attr))
    if calls != 1 or restored not in graph.functions:
        return fed, "", set()
    names = (argument.name for argument in graph.functions[restored].signature.input_arg)
    return fed, restored, {name for name, given in zip(names, caller.input, strict=False) if node_of(given) == fed}
