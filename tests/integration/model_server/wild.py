"""SavedModels as people export them, one of each kind, tiny. Imports TensorFlow and Keras."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.integration.model_server.fixtures import _signature, _write

tf1 = tf.compat.v1
WORDS = ["cat", "dog", "bird"]


def keras_export(folder: Path) -> None:
    """Keras 3: `model.export`. The sum of three numbers."""
    model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(1, kernel_initializer="ones")])
    model.export(folder, verbose=False)


def keras_archive(folder: Path) -> None:
    """Keras' ExportArchive: signatures by hand. Plain `tf.saved_model.save` of a Keras 3 model lacks variables."""
    model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(1, kernel_initializer="ones")])
    archive = keras.export.ExportArchive()
    archive.track(model)
    spec = [tf.TensorSpec([None, 3], tf.float32, "x")]
    archive.add_endpoint("serving_default", lambda x: {"sum": model(x)}, input_signature=spec)
    archive.write_out(folder, verbose=False)


def lookup_layers(folder: Path) -> None:
    """Strings through Keras' lookup and one-hot layers, whose vocabulary is a table."""
    x = keras.Input((1,), name="word", dtype="string")
    layer = keras.layers.StringLookup(vocabulary=WORDS, output_mode="one_hot")
    keras.Model(x, layer(x)).export(folder, verbose=False)


def estimator(folder: Path) -> None:
    """TF1 as an estimator exports it: tf.Example in, a table with its asset, an init op, classes and scores out."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    (folder.parent / "words.txt").write_text("\n".join(WORDS) + "\n")
    with tf.Graph().as_default(), tf1.Session() as session:
        examples = tf1.placeholder(tf.string, [None], name="input_example_tensor")
        parsed = tf1.io.parse_example(examples, {"word": tf1.io.FixedLenFeature([1], tf.string)})
        asset = tf.constant(str(folder.parent / "words.txt"))
        tf1.add_to_collection(tf1.GraphKeys.ASSET_FILEPATHS, asset)
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                asset, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            ),
            -1,
        )
        scale = tf1.get_variable("scale", initializer=10.0)
        index = table.lookup(parsed["word"])
        scores = tf.cast(index, tf.float32) * scale
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        builder = tf1.saved_model.builder.SavedModelBuilder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": _signature(
                    "classify", {"inputs": examples}, {"classes": parsed["word"], "scores": scores}
                ),
                "predict": _signature("predict", {"examples": examples}, {"index": index}),
            },
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
            main_op=tf1.tables_initializer(),
        )
        builder.save()


class Module(tf.Module):
    """Signatures of a TF2 module, one for each kind that needs no more than a function."""

    def __init__(self) -> None:
        super().__init__()
        self.state = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def strings(self, text):  # type: ignore[no-untyped-def]
        return {"upper": tf.strings.upper(text), "raw_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def parsing(self, examples):  # type: ignore[no-untyped-def]
        return {"sum": tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([2], tf.float32)})["x"]}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "by")])
    def stateful(self, by):  # type: ignore[no-untyped-def]
        return {"total": self.state.assign_add(by)}

    @tf.function(jit_compile=True)
    def compiled(self, x):  # type: ignore[no-untyped-def]
        return tf.reduce_sum(x * x, axis=-1)

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def jit(self, x):  # type: ignore[no-untyped-def]
        return {"y": self.compiled(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def quantised(self, x):  # type: ignore[no-untyped-def]
        values, low, high = tf.quantization.quantize(x, 0.0, 255.0, tf.quint8)
        return {"y": tf.quantization.dequantize(values, low, high)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def half_inside(self, x):  # type: ignore[no-untyped-def]
        return {"y": tf.cast(tf.cast(x, tf.bfloat16) * 2.0, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bfloat16, "x")])
    def halves(self, x):  # type: ignore[no-untyped-def]
        return {"y": x * 2.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def ragged_inside(self, text):  # type: ignore[no-untyped-def]
        return {"words": tf.strings.split(text).row_lengths()}


def module(folder: Path) -> None:
    """Many signatures in one."""
    made = Module()
    names = ("strings", "parsing", "stateful", "jit", "quantised", "half_inside", "halves", "ragged_inside")
    tf.saved_model.save(made, str(folder), {name: getattr(made, name) for name in names})


def tf_keras(folder: Path) -> None:
    """What `tf.keras` saved before Keras 3, by the script beside it: a word's index times ten, and a number."""
    shutil.copytree(Path(__file__).parent / "tf_keras" / "saved", folder)


def recurrent(folder: Path) -> None:
    """A recurrent network whose state goes in and out."""
    x, state = keras.Input((None, 1), name="x"), keras.Input((2,), name="state")
    layer = keras.layers.SimpleRNN(
        2, return_state=True, activation=None, kernel_initializer="ones", recurrent_initializer="identity"
    )
    last, out = layer(x, initial_state=state)
    keras.Model({"x": x, "state": state}, {"last": last, "new_state": out}).export(folder, verbose=False)


def sparse(folder: Path) -> None:
    """TF1 with a sparse and a ragged input, for which the protocol has no form, beside a dense signature."""
    with tf.Graph().as_default(), tf1.Session() as session:
        given, x = tf1.sparse_placeholder(tf.float32, [None, 3]), tf1.placeholder(tf.float32, [None])
        ragged = tf1.ragged.placeholder(tf.float32, 1)
        signatures = {
            "serving_default": _signature("predict", {"x": given}, {"y": tf.sparse.reduce_sum(given, 1)}),
            "ragged": _signature("predict", {"x": ragged}, {"y": tf.reduce_sum(ragged, 1)}),
            "dense": _signature("predict", {"x": x}, {"y": x + 1.0}),
        }
        session.run(tf1.global_variables_initializer())
        _write(session, folder, signatures)


def unknown_operation(folder: Path) -> None:
    """A graph with an operation that TensorFlow's own package lacks, as TensorFlow Text's are."""
    from tensorflow.core.protobuf import saved_model_pb2

    module(folder)
    file = folder / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for function in message.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if node.op == "StringUpper":
                node.op = "WhitespaceTokenizeWithOffsetsV2"
    file.write_bytes(message.SerializeToString())


def own_parameters(folder: Path) -> None:
    """With sizes of batches of its own."""
    keras_archive(folder)
    (folder / "batching_params.pbtxt").write_text("max_batch_size { value: 2 }")


def bad_parameters(folder: Path) -> None:
    """With sizes of batches that make no sense."""
    sparse(folder)
    (folder / "batching_params.pbtxt").write_text("max_batch_size { value: 0 }")


# "odd path" lies in a folder named ODD.
MAKERS: dict[str, Callable[[Path], None]] = {
    "keras_export": keras_export,
    "keras_archive": keras_archive,
    "lookup_layers": lookup_layers,
    "estimator": estimator,
    "module": module,
    "recurrent": recurrent,
    "tf_keras": tf_keras,
    "sparse": sparse,
    "odd path": estimator,
    "own_parameters": own_parameters,
    "unknown_operation": unknown_operation,
    "bad_parameters": bad_parameters,
}
# Those that cannot be loaded, and what is said of them.
REFUSED = {
    "unknown_operation": "Op type not registered 'WhitespaceTokenizeWithOffsetsV2': this operation is not in "
    "TensorFlow's own package, as those of TensorFlow Text, Decision Forests and other libraries are not. Export the "
    "model without it",
    "bad_parameters": "max_batch_size in the batching parameters must be positive",
}
ODD = "Käfer & Äpfel [1] (neu) {a,b}"


def example(**features: object) -> bytes:
    """A serialised tf.Example."""
    made = tf.train.Example()
    for name, value in features.items():
        for one in np.atleast_1d(value).tolist():
            feature = made.features.feature[name]
            if isinstance(one, str):
                feature.bytes_list.value.append(one.encode())
            else:
                feature.float_list.value.append(one)
    return made.SerializeToString()
