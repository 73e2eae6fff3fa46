"""Variables that nothing writes, as constants of the graph: TensorFlow then folds what it computes from them alone.

A convolution takes up the batch normalization behind it, for one; TensorFlow does so with constants only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.python.framework import op_def_registry

log = logging.getLogger("serving.model_server")
_FOLDER = "variables_as_constants"
# Of variables. While TensorFlow folds them it takes some eighteen times as much, and a sixteenth of a second a MiB.
MOST_BYTES = 16 << 20
MOST_NODES = 20_000
# They have an effect, and keep nothing from run to run.
_KEEP_NOTHING = {"Assert", "Placeholder", "Print", "PrintV2"}


def with_constants(session: tf.compat.v1.Session, outputs: Iterable[str]) -> frozenset[str]:
    """Adds to the session's graph what computes the tensors named `outputs`, with constants for variables.

    Returns the names of all tensors' operations that are there twice now, under their own name and under `constant` of
    it. None where the model would not answer the same for ever: it has operations that keep something from run to run,
    such as a variable that is written, a table, a random number; or where it is too large.
    """
    nodes = sorted({name.partition(":")[0] for name in outputs})
    graph = session.graph
    if not 0 < _variable_bytes(graph) <= MOST_BYTES or len(graph.get_operations()) > MOST_NODES:
        return frozenset()
    try:
        plain = graph.as_graph_def()
        constant = tf.compat.v1.graph_util.convert_variables_to_constants(session, plain, nodes)
        if keeping := set(_keep_something(constant)):
            log.info("Variables stay as they are, as the model has state: %s", ", ".join(sorted(keeping)))
            return frozenset()
        with graph.as_default():
            tf.import_graph_def(constant, name=_FOLDER)
    except Exception as error:  # whatever the conversion does not know: the graph as it is serves as well
        log.info("Variables stay as they are: %s", str(error).partition("\n")[0])
        return frozenset()
    return frozenset(node.name for node in constant.node)


def constant(name: str) -> str:
    """The name, among what `with_constants` added, of the tensor `name`."""
    return f"{_FOLDER}/{name}"


def _variable_bytes(graph: tf.Graph) -> int:
    """What all variables hold; more than any limit where that is not known before they are read."""
    total = 0
    for operation in graph.get_operations():
        if operation.type in ("VarHandleOp", "VariableV2", "Variable"):
            shape = tf.TensorShape(operation.get_attr("shape"))
            if not shape.is_fully_defined():
                return MOST_BYTES + 1
            total += shape.num_elements() * operation.get_attr("dtype").size
    return total


def _keep_something(graph: graph_pb2.GraphDef) -> Iterator[str]:
    """The kinds of operations that a run of `graph` may come to and that have a state."""
    functions = {function.signature.name: function.node_def for function in graph.library.function}
    waiting: list[Iterable[node_def_pb2.NodeDef]] = [graph.node]
    while waiting:
        for node in waiting.pop():
            called = set(_functions_of(node))
            waiting.extend(functions.pop(name) for name in (called | {node.op}) & functions.keys())
            known = op_def_registry.get(node.op)
            # What calls functions has such state as they have.
            if known is not None and known.is_stateful and not called and node.op not in _KEEP_NOTHING:
                yield node.op


def _functions_of(node: node_def_pb2.NodeDef) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)
