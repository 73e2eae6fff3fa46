"""Models in the wild: one SavedModel of each kind that people export, asked over gRPC and REST."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, model_management_pb2, predict_pb2
from tensorflow_serving.config import model_server_config_pb2

from tests.integration.model_server import wild
from tests.integration.model_server.requests import refusal
from tests.integration.model_server.servers import Server


def b64(data: bytes) -> dict[str, str]:
    """Bytes in JSON."""
    return {"b64": b64encode(data).decode()}


EXAMPLES = [wild.example(word="dog"), wild.example(word="cow")]
SUMS = [wild.example(x=[1.0, 2.0])]


@dataclass(frozen=True)
class Case:
    """A request in both forms, and its answers."""

    model: str
    signature: str
    inputs: dict[str, np.ndarray]  # type: ignore[type-arg]
    outputs: dict[str, object]
    instances: object
    predictions: object


def floats(*values: object) -> np.ndarray:  # type: ignore[type-arg]
    """As the models take them."""
    return np.array(values, np.float32)


CASES = [
    Case("keras_export", "", {"x": floats([1, 2, 3])}, {"output_0": [[6.0]]}, [[1, 2, 3]], [[6.0]]),
    Case("keras_archive", "", {"x": floats([1, 2, 3])}, {"sum": [[6.0]]}, [[1, 2, 3]], [[6.0]]),
    Case(
        "lookup_layers", "", {"word": np.array([["dog"], ["cow"]], object)},
        {"output_0": [[0, 0, 1, 0], [1, 0, 0, 0]]}, [["dog"], ["cow"]], [[0, 0, 1, 0], [1, 0, 0, 0]],
    ),
    Case("estimator", "predict", {"examples": np.array(EXAMPLES, object)}, {"index": [[1], [-1]]},
         [b64(e) for e in EXAMPLES], [[1], [-1]]),
    Case("odd path", "predict", {"examples": np.array(EXAMPLES, object)}, {"index": [[1], [-1]]},
         [b64(e) for e in EXAMPLES], [[1], [-1]]),
    Case("module", "strings", {"text": np.array([b"a\xff\0", b""], object)},
         {"upper": [b"A\xff\0", b""], "raw_bytes": [b"a\xff\0", b""]},
         [b64(b"ab\0"), ""], [{"upper": "AB\0", "raw_bytes": b64(b"ab\0")}, {"upper": "", "raw_bytes": b64(b"")}]),
    Case("module", "parsing", {"examples": np.array(SUMS, object)}, {"sum": [[1.0, 2.0]]},
         [{"examples": b64(SUMS[0])}], [[1.0, 2.0]]),
    Case("module", "jit", {"x": floats([1, 2])}, {"y": [5.0]}, [[1, 2]], [5.0]),
    Case("module", "quantised", {"x": floats(7, 300)}, {"y": [7.0, 255.0]}, [7, 300], [7.0, 255.0]),
    Case("module", "half_inside", {"x": floats(1.5)}, {"y": [3.0]}, [1.5], [3.0]),
    Case("module", "ragged_inside", {"text": np.array(["a b", ""], object)}, {"words": [2, 0]}, ["a b", ""], [2, 0]),
    Case("recurrent", "", {"x": floats([[1], [2]]), "state": floats([10, 20])},
         {"last": [[13.0, 23.0]], "new_state": [[13.0, 23.0]]}, [{"x": [[1], [2]], "state": [10, 20]}],
         [{"last": [13.0, 23.0], "new_state": [13.0, 23.0]}]),
    Case("tf_keras", "", {"word": np.array([["dog"], ["cow"]], object), "more": floats([1], [2])},
         {"total": [[21.0], [2.0]]}, [{"word": ["dog"], "more": [1]}], [[21.0]]),
    Case("sparse", "dense", {"x": floats(1)}, {"y": [2.0]}, [1], [2.0]),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of all of them, but for those that cannot be loaded."""
    folder = tmp_path_factory.mktemp("wild")
    for name, make in wild.MAKERS.items():
        make(base_path(folder, name) / "1")
    wanted = config(folder, wild.MAKERS.keys() - wild.REFUSED.keys())
    (folder / "models.config").write_text(str(wanted), encoding="utf-8")
    running = Server(folder, f"--model_config_file={folder}/models.config", "--max_num_load_retries=0",
                     "--enable_batching", "--enable_per_model_batching_parameters")  # fmt: skip
    yield running
    running.close()


def base_path(folder: Path, name: str) -> Path:
    """Where a model lies."""
    return folder / (wild.ODD if name == "odd path" else name)


def config(folder: Path, names: Iterable[str]) -> model_server_config_pb2.ModelServerConfig:
    """What a server of these models is told."""
    made = model_server_config_pb2.ModelServerConfig()
    for name in sorted(names):
        made.model_config_list.config.add(
            name=name, base_path=str(base_path(folder, name)), model_platform="tensorflow"
        )
    return made


def asked(server: Server, model: str, signature: str, inputs: Mapping[str, object]) -> dict[str, object]:
    """The outputs of a Predict, as lists."""
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = model, signature
    for alias, array in inputs.items():
        message.inputs[alias].CopyFrom(tf.make_tensor_proto(array))
    answer = server.predictions.Predict(message, timeout=30)
    return {alias: tf.make_ndarray(proto).tolist() for alias, proto in answer.outputs.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}-{case.signature}")
def test_it_answers_over_grpc_and_rest(server: Server, case: Case) -> None:
    assert asked(server, case.model, case.signature, case.inputs) == case.outputs
    body = {"signature_name": case.signature, "instances": case.instances}
    answer = server.http.post(f"/v1/models/{case.model}:predict", json=body)
    assert answer.json() == {"predictions": case.predictions}


def test_an_estimator_classifies_examples(server: Server) -> None:
    message = classification_pb2.ClassificationRequest()
    message.model_spec.name = "estimator"
    for text in EXAMPLES:
        message.input.example_list.examples.add().MergeFromString(text)
    rows = server.predictions.Classify(message, timeout=30).result.classifications
    assert [[(one.label, one.score) for one in row.classes] for row in rows] == [[("dog", 10.0)], [("cow", -10.0)]]
    answer = server.http.post("/v1/models/estimator:classify", json={"examples": [{"word": "dog"}, {"word": "cow"}]})
    assert answer.json() == {"results": [[["dog", 10.0]], [["cow", -10.0]]]}


def test_state_is_kept_between_requests(server: Server) -> None:
    for total in (1.5, 3.0):
        assert asked(server, "module", "stateful", {"by": np.float32(1.5)}) == {"total": total}
    answer = server.http.post("/v1/models/module:predict", json={"signature_name": "stateful", "inputs": 1.0})
    assert answer.json() == {"outputs": 4.0}


def test_bfloat16_is_for_grpc_alone(server: Server) -> None:
    halves = tf.constant([1.5, 2.0], tf.bfloat16).numpy()
    assert asked(server, "module", "halves", {"x": halves}) == {"y": [3.0, 4.0]}
    body = {"signature_name": "halves", "inputs": [1.5]}
    answer = server.http.post("/v1/models/module:predict", json=body)
    assert (answer.status_code, "to type: bfloat16" in answer.text) == (501, True), answer.text


@pytest.mark.parametrize("signature", ["serving_default", "ragged"])
def test_a_sparse_input_is_refused(server: Server, signature: str) -> None:
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = "sparse", signature
    message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([[1, 2, 3]])))
    code, text = refusal(server.predictions.Predict, message)
    assert (code, "sparse or composite" in text) == ("INVALID_ARGUMENT", True)
    body = {"signature_name": signature, "instances": [[1, 2, 3]]}
    answer = server.http.post("/v1/models/sparse:predict", json=body)
    assert (answer.status_code, "sparse or composite" in answer.text) == (400, True)


def test_a_model_may_have_batches_of_its_own_size_and_one_without_is_not_batched(server: Server) -> None:
    rows = floats([1, 2, 3], [4, 5, 6], [7, 8, 9])
    assert asked(server, "own_parameters", "", {"x": rows[:2]}) == {"sum": [[6.0], [15.0]]}
    body = {"instances": rows.tolist()}
    answer = server.http.post("/v1/models/own_parameters:predict", json=body)
    assert answer.json() == {"error": "Task size 3 is larger than maximum input batch size 2"}
    assert server.http.post("/v1/models/keras_archive:predict", json=body).status_code == 200


@pytest.mark.parametrize("name", wild.REFUSED)
def test_what_cannot_be_loaded_is_told_and_disturbs_nobody(server: Server, name: str) -> None:
    served = wild.MAKERS.keys() - wild.REFUSED.keys()
    request = model_management_pb2.ReloadConfigRequest(config=config(server.log_file.parent, served | {name}))
    code, text = refusal(server.models.HandleReloadConfigRequest, request)
    assert (code, wild.REFUSED[name] in text) == ("UNKNOWN", True), text
    assert asked(server, "module", "jit", {"x": floats([3, 4])}) == {"y": [25.0]}
