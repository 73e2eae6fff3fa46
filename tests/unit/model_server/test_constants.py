"""What may be taken for a constant of a model, and what answers anew each time. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from serving.model_server import constants
from serving.model_server.model import SavedModel

ONE = tf.TensorSpec([None], tf.float32, name="x")
PICTURES = tf.TensorSpec([None, 8, 8, 1], tf.float32, name="x")


class Normalized(tf.Module):
    """A convolution with a batch normalization behind it."""

    def __init__(self) -> None:
        super().__init__()
        draw = tf.random.Generator.from_seed(0)
        self.filters = tf.Variable(draw.normal([3, 3, 1, 16]))
        self.mean, self.gain = tf.Variable(draw.normal([16])), tf.Variable(draw.normal([16]))
        self.spread = tf.Variable(draw.uniform([16], 0.5, 2))

    @tf.function(input_signature=[PICTURES])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Pictures to features."""
        found = tf.nn.conv2d(x, self.filters, 1, "SAME")
        return {"y": tf.nn.batch_normalization(found, self.mean, self.spread, None, self.gain, 0.001)}


class State(tf.Module):
    """Signatures that answer differently each time."""

    def __init__(self) -> None:
        super().__init__()
        self.total = tf.Variable(0.0)
        self.weight = tf.Variable(1.0)
        values = tf.lookup.KeyValueTensorInitializer([1], [5], tf.int64, tf.int64)
        self.table = tf.lookup.StaticHashTable(values, 0)

    @tf.function(input_signature=[ONE])
    def add(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Keeps a total."""
        return {"y": x * 0 + self.total.assign_add(tf.reduce_sum(x))}

    @tf.function(input_signature=[ONE])
    def get(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the total is, which another signature changes."""
        return {"y": x * 0 + self.total}

    @tf.function(input_signature=[ONE])
    def draw(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """A random number."""
        return {"y": x * 0 + self.weight * tf.random.uniform([])}

    @tf.function(input_signature=[ONE])
    def look(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """A table's value."""
        return {"y": self.weight * tf.cast(self.table.lookup(tf.cast(x, tf.int64)), tf.float32)}


def saved(folder: Path, made: tf.Module, **signatures: Callable[..., Any]) -> str:
    """The folder, with the module in it."""
    tf.saved_model.save(made, str(folder), signatures=signatures)
    return str(folder)


def asked(model: SavedModel, signature: str, x: object) -> Any:
    """The one output."""
    return model.plan(signature).run({"x": np.asarray(x, np.float32)})[0]


def operations(model: SavedModel) -> list[str]:
    """Those that a run comes to, in TensorFlow's own choice of them."""
    (tensor,) = model.signatures["serving_default"].inputs.values()
    (output,) = model.signatures["serving_default"].outputs.values()
    names = [constants.constant(name) if model.constants else name for name in (tensor.name, output.name)]
    told = config_pb2.RunMetadata()
    options = config_pb2.RunOptions(output_partition_graphs=True)
    model.session.run(names[1], {names[0]: np.zeros((1, 8, 8, 1), np.float32)}, options=options, run_metadata=told)
    return [node.op for graph in told.partition_graphs for node in graph.node]


def test_normalization_is_taken_up_by_the_convolution_and_answers_stay(tmp_path: Path) -> None:
    made = Normalized()
    path = saved(tmp_path / "1", made, serving_default=made.serve)
    model, plain = SavedModel(path), SavedModel(path, constants=False)
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype(np.float32)
    assert asked(model, "serving_default", x) == pytest.approx(asked(plain, "serving_default", x), abs=1e-5)
    assert asked(model, "serving_default", x) == pytest.approx(made.serve(tf.constant(x))["y"].numpy(), abs=1e-5)
    assert "ReadVariableOp" in operations(plain) and "ReadVariableOp" not in operations(model)
    assert "Mul" in operations(plain) and "Mul" not in operations(model)
    model.close()
    plain.close()


@pytest.mark.parametrize("first", ["add", "get"])
def test_total_that_a_signature_keeps_is_kept(tmp_path: Path, first: str) -> None:
    made = State()
    model = SavedModel(saved(tmp_path / "1", made, add=made.add, get=made.get))
    asked(model, first, [0])
    assert [asked(model, "add", [2]), asked(model, "get", [0]), asked(model, "add", [3])] == [[2], [2], [5]]
    model.close()


def test_random_numbers_stay_random_and_tables_are_found(tmp_path: Path) -> None:
    made = State()
    model = SavedModel(saved(tmp_path / "1", made, draw=made.draw))
    assert len({float(asked(model, "draw", [0])[0]) for _ in range(5)}) == 5
    model.close()
    model = SavedModel(saved(tmp_path / "2", made, look=made.look))
    assert asked(model, "look", [1, 2]).tolist() == [5, 0]
    model.close()


def test_table_that_goes_by_its_nodes_name_is_found(tmp_path: Path) -> None:
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        weight = tf.compat.v1.get_variable("weight", initializer=2.0, use_resource=True)
        kinds = {"key_dtype": tf.int64, "value_dtype": tf.int64}
        table = tf.raw_ops.HashTableV2(**kinds, use_node_name_sharing=True, name="table")
        filled = tf.raw_ops.LookupTableImportV2(
            table_handle=table, keys=tf.constant([1], tf.int64), values=tf.constant([5], tf.int64)
        )
        none = tf.constant(0, tf.int64)
        found = tf.raw_ops.LookupTableFindV2(table_handle=table, keys=tf.cast(x, tf.int64), default_value=none)
        y = weight * tf.cast(found, tf.float32)
        session.run([weight.initializer])
        signature = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        writer = tf.compat.v1.saved_model.Builder(str(tmp_path / "1"))
        signatures = {"serving_default": signature}
        writer.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures, main_op=filled)
        writer.save()
    model = SavedModel(str(tmp_path / "1"))
    assert asked(model, "serving_default", [1, 2]).tolist() == [10, 0]
    model.close()


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_NODES"])
def test_large_model_is_served_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    made = Normalized()
    path = saved(tmp_path / "1", made, serving_default=made.serve)
    monkeypatch.setattr(constants, limit, 10)
    model = SavedModel(path)
    assert "ReadVariableOp" in operations(model)
    model.close()


def test_conversion_that_fails_leaves_the_model_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("cannot be converted\nand so on")

    made = Normalized()
    path = saved(tmp_path / "1", made, serving_default=made.serve)
    monkeypatch.setattr(tf.compat.v1.graph_util, "convert_variables_to_constants", fail)
    caplog.set_level("INFO", "serving.model_server")
    model = SavedModel(path)
    assert asked(model, "serving_default", np.zeros((1, 8, 8, 1))).shape == (1, 8, 8, 16)
    assert "Variables stay as they are: cannot be converted" in caplog.messages
    model.close()
