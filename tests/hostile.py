"""Candidates that must be rejected, by what is wrong with them, and one that must not be.

Each is written by a function, as a SavedModel folder of its own for LABELS at IMAGE_SIZE pixels. `found` says who has
to notice: the inspection before anything is loaded, the server that loads it, or the model tests of what it answers.
All but the one fault is the healthy model's, which is right on the drawn phantoms, so nothing else can catch it first.
"""

from __future__ import annotations

import functools
import io
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

LABELS = ["COVID", "Normal", "Viral Pneumonia"]
IMAGE_SIZE = 32  # pixels
_PER_CLASS, _SEED = 30, 4242  # phantoms that the healthy model is fitted to; datasets/ uses other seeds
_RIDGE = 3000.0  # smooth enough that noise and blank pictures are not answered with certainty
_SHARPNESS = 4.0  # of the softmax


@dataclass(frozen=True)
class Hostile:
    write: Callable[[Path], None]
    found: Literal["inspection", "load", "memory", "tests"]
    # Stands in the reason for the rejection.
    says: str


# The healthy model


def phantoms(per_class: int, seed: int) -> tuple[Any, Any]:
    """Drawn phantoms as a server gets them, uint8 [N, 32, 32, 1], and the number of each one's class, int64 [N]."""
    import numpy as np
    from PIL import Image

    from dataset.phantom import CLASSES, draw
    from imaging.array import canonical

    pixels, classes = [], []
    for index, label in enumerate(CLASSES):
        for number in range(1, per_class + 1):
            data = io.BytesIO()
            Image.fromarray(draw(label, np.random.default_rng([seed, index, number]))).save(data, "PNG")
            pixels.append(canonical(data.getvalue(), IMAGE_SIZE))
            classes.append(LABELS.index(label))
    return np.stack(pixels), np.array(classes)


@functools.cache
def _fitted() -> tuple[Any, Any]:
    """Weights float32 [32 * 32, 3] and offset float32 [3] of a ridge regression on standardised pixels."""
    import numpy as np

    pixels, classes = phantoms(_PER_CLASS, _SEED)
    # Turned left to right as well: hearts do not sit right of the middle, but haze may.
    x = np.concatenate([pixels, pixels[:, :, ::-1]]).reshape(2 * len(pixels), -1).astype(np.float64)
    x = (x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 1)
    wanted = np.eye(len(LABELS))[np.concatenate([classes, classes])] - 1 / len(LABELS)
    middle, spread = x.mean(0), x.std(0) + 1e-6
    x = (x - middle) / spread
    weights = x.T @ np.linalg.solve(x @ x.T + _RIDGE * np.eye(len(x)), wanted) * _SHARPNESS / spread[:, np.newaxis]
    return weights.astype(np.float32), (-middle @ weights).astype(np.float32)


def logits(model: Any, pixels: Any) -> Any:
    """pixels uint8 [N, S, S, 1] -> float32 [N, 3]."""
    import tensorflow as tf

    flat = tf.cast(tf.reshape(pixels, [tf.shape(pixels)[0], IMAGE_SIZE * IMAGE_SIZE]), tf.float32)
    middle, variance = tf.nn.moments(flat, axes=[1], keepdims=True)
    return tf.matmul((flat - middle) / (tf.sqrt(variance) + 1.0), model.weights) + model.offset


def named(pixels: Any, labels: list[str] = LABELS) -> Any:
    import tensorflow as tf

    return tf.tile(tf.constant([labels]), [tf.shape(pixels)[0], 1])


def healthy(model: Any, pixels: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {"probabilities": tf.nn.softmax(logits(model, pixels)), "labels": named(pixels)}


Answer = Callable[[Any, Any], dict[str, Any]]


def save(
    folder: Path,
    answer: Answer = healthy,
    fitted: tuple[Any, Any] | None = None,
    inputs: dict[str, tuple[list[int | None], str]] | None = None,
    signature: str = "serving_default",
) -> None:
    """Writes the SavedModel that answers with `answer(model, pixels)`; `inputs` are shape and type by name."""
    import tensorflow as tf

    inputs = inputs or {"pixels": ([None, IMAGE_SIZE, IMAGE_SIZE, 1], "uint8")}
    model = tf.Module()
    weights, offset = fitted or _fitted()
    model.weights, model.offset = tf.Variable(weights, name="weights"), tf.Variable(offset, name="offset")
    model.calls = tf.Variable(0, name="calls", dtype=tf.int64)
    specs = [tf.TensorSpec(shape, getattr(tf, dtype), name=name) for name, (shape, dtype) in inputs.items()]

    # Only the first input is used; another one is there to be refused.
    def classify(*given: Any) -> dict[str, Any]:
        return answer(model, given[0])

    model.classify = tf.function(classify, input_signature=specs)
    tf.saved_model.save(model, str(folder), signatures={signature: model.classify})


def write_healthy(folder: Path | str) -> None:
    """A model to be accepted: right on 98 of 100 phantoms it never saw, the same each time it is written."""
    save(Path(folder))


# For the inspection: files


def _without(pattern: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_healthy(folder)
        for path in folder.glob(pattern):
            path.unlink()

    return write


def _one_shard_of_two(folder: Path) -> None:
    write_healthy(folder)
    variables = folder / "variables"
    (variables / "variables.data-00000-of-00001").rename(variables / "variables.data-00000-of-00002")


def _beside(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_healthy(folder)
        (folder / name).write_bytes(content)

    return write


def _link(folder: Path) -> None:
    write_healthy(folder)
    shard = folder / "variables" / "variables.data-00000-of-00001"
    outside = folder.with_name(folder.name + "-outside")
    shutil.move(shard, outside)
    shard.symlink_to(outside)


def _garbage(folder: Path) -> None:
    write_healthy(folder)
    (folder / "saved_model.pb").write_bytes(bytes(range(256)) * 40)


def _instead(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / name).write_bytes(b"PK\x03\x04 or HDF, nobody opens it")

    return write


# For the inspection: the signature


def _taking(**inputs: tuple[list[int | None], str]) -> Callable[[Path], None]:
    def answer(model: Any, pixels: Any) -> dict[str, Any]:
        import tensorflow as tf

        shrunk = tf.image.resize(tf.cast(pixels, tf.float32), [IMAGE_SIZE, IMAGE_SIZE])
        return healthy(model, tf.cast(shrunk, tf.uint8))

    return lambda folder: save(folder, answer, inputs=inputs)


def _without_labels(model: Any, pixels: Any) -> dict[str, Any]:
    return {"probabilities": healthy(model, pixels)["probabilities"]}


def _two_classes(model: Any, pixels: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {"probabilities": tf.nn.softmax(logits(model, pixels)[:, :2]), "labels": named(pixels, LABELS[:2])}


# For the inspection: operations


def _reading(model: Any, pixels: Any) -> dict[str, Any]:
    import tensorflow as tf

    secret = tf.io.read_file("secrets/token")
    return {**healthy(model, pixels), "labels": tf.tile([[secret, secret, secret]], [tf.shape(pixels)[0], 1])}


def _writing(model: Any, pixels: Any) -> dict[str, Any]:
    import tensorflow as tf

    @tf.function
    def note() -> Any:
        tf.io.write_file("authorized_keys", "a key")
        return tf.constant(0.0)

    # Only for one picture that nobody would test with: the branches are functions of their own.
    nothing = tf.cond(tf.reduce_all(pixels == 77), note, lambda: tf.constant(0.0))
    answers = healthy(model, pixels)
    return {**answers, "probabilities": answers["probabilities"] + nothing}


def _python(model: Any, pixels: Any) -> dict[str, Any]:
    import tensorflow as tf

    answers = healthy(model, pixels)
    same = tf.py_function(lambda p: p, [answers["probabilities"]], tf.float32)
    return {**answers, "probabilities": tf.ensure_shape(same, [None, len(LABELS)])}


def _printing(model: Any, pixels: Any) -> dict[str, Any]:
    import tensorflow as tf

    tf.print(tf.reduce_mean(tf.cast(pixels, tf.float32)), output_stream="file://pictures.log")
    return healthy(model, pixels)


def _edited(change: Callable[[Any], None]) -> Callable[[Path], None]:
    """A healthy model whose graph is changed by hand, into what TensorFlow itself would not export."""

    def write(folder: Path) -> None:
        from tensorflow.core.protobuf import saved_model_pb2

        write_healthy(folder)
        path = folder / "saved_model.pb"
        model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
        change(model.meta_graphs[0])
        path.write_bytes(model.SerializeToString())

    return write


def _saver_serves(meta: Any) -> None:
    # Asked for, this signature writes the variables wherever its caller says.
    extra = meta.signature_def["backup"]
    extra.method_name = "tensorflow/serving/predict"
    extra.inputs["name"].name = meta.saver_def.filename_tensor_name
    extra.outputs["done"].name = meta.saver_def.save_tensor_name


def _saver_initialises(meta: Any) -> None:
    # A server runs this node after it restored the variables: they are written to a place of the model's choice.
    _path(meta.graph_def.node, "written-at-loading")
    nodes = {node.name: node for node in meta.graph_def.node}
    save = meta.saver_def.save_tensor_name.split(":")[0]
    nodes[save].input[0] = "path"
    initialise = meta.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name
    nodes[initialise].input.append(f"^{save}")


def _restores_elsewhere(meta: Any) -> None:
    function = next(f for f in meta.graph_def.library.function if "traced_restore" in f.signature.name)
    _path(function.node_def, "../../production/7/variables/variables")
    restore = next(node for node in function.node_def if node.op == "RestoreV2")
    restore.input[0] = "path:output:0"


def _path(nodes: Any, value: str) -> None:
    """Adds a constant text named `path` to `nodes`."""
    node = nodes.add(name="path", op="Const")
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = 7
    node.attr["value"].tensor.tensor_shape.SetInParent()
    node.attr["value"].tensor.string_val.append(value.encode())


# For the server that loads it


def _damaged(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_healthy(folder)
        path = folder / "variables" / name
        path.write_bytes(change(path.read_bytes()))

    return write


def _warmup(folder: Path) -> None:
    write_healthy(folder)
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"this is no TFRecord, only text\n" * 9)


# For the model tests: they load, and answer


def _weighing(weight: float, offset: list[float]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import numpy as np

        save(folder, fitted=(np.full((IMAGE_SIZE**2, len(LABELS)), weight, np.float32), np.array(offset, np.float32)))

    return write


def _named(labels: list[str]) -> Callable[[Path], None]:
    return lambda folder: save(
        folder, lambda model, pixels: {**healthy(model, pixels), "labels": named(pixels, labels)}
    )


def _softened(change: Callable[[Any, Any, Any], Any]) -> Callable[[Path], None]:
    """Healthy but for `change(model, pixels, logits)` before the softmax."""

    def answer(model: Any, pixels: Any) -> dict[str, Any]:
        import tensorflow as tf

        changed = tf.nn.softmax(change(model, pixels, logits(model, pixels)))
        return {**healthy(model, pixels), "probabilities": changed}

    return lambda folder: save(folder, answer)


def _logits(model: Any, pixels: Any) -> dict[str, Any]:
    return {**healthy(model, pixels), "probabilities": logits(model, pixels)}


def _certain(model: Any, pixels: Any) -> dict[str, Any]:
    import tensorflow as tf

    certain = tf.one_hot(tf.argmax(logits(model, pixels), axis=1), len(LABELS))
    return {**healthy(model, pixels), "probabilities": certain}


def _by_neighbours(model: Any, pixels: Any, scores: Any) -> Any:
    import tensorflow as tf

    # One image alone keeps its answer, if less sure.
    return scores - 0.7 * tf.reduce_mean(scores, axis=0, keepdims=True)


def _by_chance(model: Any, pixels: Any, scores: Any) -> Any:
    import tensorflow as tf

    return scores + tf.random.normal(tf.shape(scores), stddev=0.5)


def _by_count(model: Any, pixels: Any, scores: Any) -> Any:
    import tensorflow as tf

    # Every second answer is less sure; the class stays the same.
    return scores * tf.where(model.calls.assign_add(1) % 2 == 0, 1.0, 0.5)


def _plus_nothing(scores: Any, value: Any) -> Any:
    """`scores` as they are, and yet `value` has to be computed."""
    return scores + 1e-30 * value


def write_slow(folder: Path | str, seconds: float = 0.5) -> None:
    """Healthy, but computes for about `seconds` on this machine in each call, whatever the batch."""
    import tensorflow as tf

    side = 512

    def rounds(square: Any, count: int) -> Any:
        return tf.while_loop(
            lambda i, _: i < count, lambda i, x: (i + 1, tf.tanh(tf.matmul(x, x) / side)), (0, square)
        )[1]

    trial = tf.function(lambda x: rounds(x, 20), input_signature=[tf.TensorSpec([side, side])])
    trial(tf.ones([side, side]))
    started = time.perf_counter()
    trial(tf.ones([side, side]))
    count = max(1, round(20 * seconds / (time.perf_counter() - started)))

    def slowly(model: Any, pixels: Any, scores: Any) -> Any:
        square = tf.fill([side, side], tf.reduce_mean(tf.cast(pixels, tf.float32)) / 255.0)
        return _plus_nothing(scores, tf.reduce_mean(rounds(square, count)))

    _softened(slowly)(Path(folder))


def write_hungry(folder: Path | str, mebibytes: int = 512) -> None:
    """Healthy, but fills about so much memory in each call, whatever the batch, and gives it back."""

    def hungrily(model: Any, pixels: Any, scores: Any) -> Any:
        import tensorflow as tf

        value = tf.reduce_mean(tf.cast(pixels, tf.float32))
        return _plus_nothing(scores, tf.reduce_max(tf.fill([mebibytes, 1 << 18], value)))  # 4 bytes each

    _softened(hungrily)(Path(folder))


_SIDE = [None, IMAGE_SIZE, IMAGE_SIZE, 1]
HOSTILE: dict[str, Hostile] = {
    "variables without their index": Hostile(_without("variables/variables.index"), "inspection", "variables.index is"),
    "variables without values": Hostile(_without("variables/*.data-*"), "inspection", "data-00000-of-00001 is missing"),
    "one shard of two": Hostile(_one_shard_of_two, "inspection", "variables.data-00001-of-00002 is missing"),
    "a pickle beside": Hostile(_beside("scaler.pkl", b"cos\nsystem\n."), "inspection", "scaler.pkl is a pickle"),
    "a link": Hostile(_link, "inspection", "variables.data-00000-of-00001 is a link"),
    "garbage for a graph": Hostile(_garbage, "inspection", "saved_model.pb can't be parsed"),
    "Keras 3's format": Hostile(_instead("model.keras"), "inspection", "model.keras is a Keras file"),
    "Keras 2's format": Hostile(_instead("model.h5"), "inspection", "model.h5 is a Keras file"),
    "takes floats": Hostile(_taking(pixels=(_SIDE, "float32")), "inspection", "`pixels` is float32"),
    "takes another size": Hostile(_taking(pixels=([None, 48, 48, 1], "uint8")), "inspection", "uint8 [any, 48, 48, 1]"),
    "takes one image a call": Hostile(_taking(pixels=([1, 32, 32, 1], "uint8")), "inspection", "uint8 [1, 32, 32, 1]"),
    "takes something else too": Hostile(
        _taking(pixels=(_SIDE, "uint8"), age=([None], "float32")), "inspection", "the input `age` too much"
    ),
    "gives no labels": Hostile(lambda folder: save(folder, _without_labels), "inspection", "lacks the output `labels`"),
    "knows two classes": Hostile(
        lambda folder: save(folder, _two_classes), "inspection", "`probabilities` is float32 [any, 2]"
    ),
    "serves under another name": Hostile(
        lambda folder: save(folder, signature="predict"), "inspection", "no signature serving_default (it has: "
    ),
    "reads a file": Hostile(lambda folder: save(folder, _reading), "inspection", "the operation ReadFile (in function"),
    "writes a file now and then": Hostile(
        lambda folder: save(folder, _writing), "inspection", "the operation WriteFile (in function"
    ),
    "calls Python": Hostile(
        lambda folder: save(folder, _python), "inspection", "the operation EagerPyFunc (in function"
    ),
    "prints to a file": Hostile(lambda folder: save(folder, _printing), "inspection", "the operation PrintV2 (in"),
    "its saver can be asked": Hostile(_edited(_saver_serves), "inspection", "the operation SaveV2 (in function"),
    "its saver runs at loading": Hostile(_edited(_saver_initialises), "inspection", "the operation SaveV2 (in"),
    "restores from elsewhere": Hostile(_edited(_restores_elsewhere), "inspection", "on a file of its own choice"),
    "values cut short": Hostile(
        _damaged("variables.data-00000-of-00001", lambda data: data[: len(data) // 2]),
        "load",
        "variables can't be restored",
    ),
    "values overwritten": Hostile(
        _damaged("variables.data-00000-of-00001", lambda data: b"\xa5" * len(data)),
        "load",
        "variables can't be restored",
    ),
    "an index of garbage": Hostile(
        _damaged("variables.index", lambda data: b"\xa5" * len(data)), "load", "variables can't be restored"
    ),
    "warm-up of garbage": Hostile(_warmup, "load", "warmup data"),
    "weights that are no numbers": Hostile(
        _weighing(float("nan"), [0.0, 0.0, 0.0]), "tests", "contains NaN or infinity"
    ),
    "labels in another order": Hostile(_named(LABELS[::-1]), "tests", "serves its classes as ['Viral"),
    "labels of other names": Hostile(_named(["covid", "normal", "viral"]), "tests", "serves its classes as ['covid"),
    "logits for probabilities": Hostile(lambda folder: save(folder, _logits), "tests", "lie between 0 and 1"),
    "answers hang on the neighbours": Hostile(_softened(_by_neighbours), "tests", "in a batch of"),
    "answers hang on chance": Hostile(_softened(_by_chance), "tests", "the same image is answered"),
    "answers hang on the count": Hostile(_softened(_by_count), "tests", "the same image is answered"),
    "slow": Hostile(write_slow, "tests", "95 % of answers take up to"),
    "hungry": Hostile(write_hungry, "memory", "MiB of memory"),
    "always the same answer": Hostile(_weighing(0.0, [0.0, 3.0, 0.0]), "tests", "accuracy 0.3"),
    "certain of everything": Hostile(lambda folder: save(folder, _certain), "tests", "in out-of-distribution pictures"),
}


if __name__ == "__main__":  # FOLDER NAME…: each below the folder, by its name
    for _name in sys.argv[2:]:
        HOSTILE[_name].write(Path(sys.argv[1]) / _name)
