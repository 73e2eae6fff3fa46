"""Tiny SavedModels like TensorFlow Serving's own test models, made by code. Imports TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

tf1 = tf.compat.v1


def half_plus_two(folder: Path, offset: float = 2.0) -> Path:
    """A TF1 model: y = 0.5 x + offset, y2 = 0.5 x + offset + 1; Predict, Classify and Regress signatures."""
    with tf.Graph().as_default(), tf1.Session() as session:
        half = tf1.get_variable("a", initializer=0.5)
        plus = tf1.get_variable("b", initializer=offset)
        examples = tf1.placeholder(tf.string, [None], name="tf_example")
        parsed = tf1.io.parse_example(examples, {"x": tf1.io.FixedLenFeature([1], tf.float32)})
        x = tf.identity(parsed["x"], name="x")
        y = tf.add(half * x, plus, name="y")
        y2 = tf.add(y, 1.0, name="y2")
        session.run(tf1.global_variables_initializer())
        signatures = {
            "serving_default": _signature("predict", {"x": x}, {"y": y}),
            "two_outputs": _signature("predict", {"x": x}, {"y": y, "y2": y2}),
            "regress_x_to_y": _signature("regress", {"inputs": examples}, {"outputs": y}),
            "regress_x_to_y2": _signature("regress", {"inputs": examples}, {"outputs": y2}),
            "tensorflow/serving/regress": _mistyped(_signature("regress", {"inputs": examples}, {"outputs": y})),
            "classify_x_to_y": _signature("classify", {"inputs": examples}, {"scores": y}),
            "of_another_method": _signature("something", {"x": x}, {"y": y}),
            "classify_too_much": _signature("classify", {"inputs": examples}, {"scores": y, "a": y2, "b": y}),
        }
        _write(session, folder, signatures)
    return folder


def counter(folder: Path) -> Path:
    """A TF1 model with state: signatures without inputs that read, raise and reset a counter, and one with an input."""
    with tf.Graph().as_default(), tf1.Session() as session:
        value = tf1.get_variable("counter", initializer=0.0, use_resource=False)
        delta = tf1.placeholder(tf.float32, [], name="delta")
        outputs = {
            "get_counter": tf.identity(value),
            "incr_counter": tf1.assign_add(value, 1.0),
            "reset_counter": tf1.assign(value, 0.0),
        }
        signatures = {name: _signature("predict", {}, {"output": tensor}) for name, tensor in outputs.items()}
        signatures["incr_counter_by"] = _signature(
            "predict", {"delta": delta}, {"output": tf1.assign_add(value, delta)}
        )
        session.run(tf1.global_variables_initializer())
        _write(session, folder, signatures)
    return folder


def slow(folder: Path, rounds: int = 100) -> Path:
    """A TF2 model that multiplies matrices for about a second before it answers x + `rounds`."""

    class Slow(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def wait(self, x):  # type: ignore[no-untyped-def]
            mean = tf.fill([600, 600], tf.reduce_sum(x) * 0.0 + 1.0 / 600)
            matrix = mean
            for _ in tf.range(rounds):
                matrix = tf.linalg.matmul(matrix, mean)
            return {"y": x + float(rounds) + matrix[0, 0] * 0.0}

    model = Slow()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.wait})
    return folder


def echo(folder: Path) -> Path:
    """A TF2 model that answers what it is given, one signature for each kind of tensor."""

    class Echo(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(None, tf.string, name="text")])
        def strings(self, text):  # type: ignore[no-untyped-def]
            return {"text": tf.identity(text), "text_bytes": tf.identity(text)}

        @tf.function(
            input_signature=[tf.TensorSpec(None, tf.float32, name="a"), tf.TensorSpec(None, tf.int64, name="b")]
        )
        def numbers(self, a, b):  # type: ignore[no-untyped-def]
            return {"a": tf.identity(a), "b": tf.identity(b)}

        @tf.function(input_signature=[tf.TensorSpec(None, tf.half, name="h")])
        def halves(self, h):  # type: ignore[no-untyped-def]
            return {"h": tf.identity(h)}

        @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="a")])
        def pairs(self, a):  # type: ignore[no-untyped-def]
            return {"c": tf.complex(a, -a)}

    model = Echo()
    signatures = {
        "serving_default": model.strings,
        "numbers": model.numbers,
        "halves": model.halves,
        "pairs": model.pairs,
    }
    tf.saved_model.save(model, str(folder), signatures=signatures)
    return folder


def _signature(method: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    build = tf1.saved_model.utils.build_tensor_info
    return tf1.saved_model.signature_def_utils.build_signature_def(
        {alias: build(tensor) for alias, tensor in inputs.items()},
        {alias: build(tensor) for alias, tensor in outputs.items()},
        f"tensorflow/serving/{method}",
    )


def _mistyped(signature: Any) -> Any:
    """The signature with a wrong type for its input, as old exporters wrote it."""
    signature.inputs["inputs"].dtype = tf.float32.as_datatype_enum
    return signature


def _write(session: Any, folder: Path, signatures: dict[str, Any]) -> None:
    builder = tf1.saved_model.builder.SavedModelBuilder(str(folder))
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
    builder.save()
