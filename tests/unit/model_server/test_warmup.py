"""Warm-up records of every kind, replayed in this process. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.model_server.errors import ServingError
from serving.model_server.model import SavedModel
from serving.model_server.warmup import MAX_WARMUP_RECORDS, warm_up
from tests.integration.model_server import fixtures


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SavedModel]:
    """The model that halves and adds two."""
    loaded = SavedModel(str(fixtures.half_plus_two(tmp_path_factory.mktemp("warmup") / "1")))
    yield loaded
    loaded.close()


def write(model: SavedModel, records: list[bytes]) -> Path:
    """The model's warm-up file."""
    file = Path(model.path) / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in records:
            writer.write(record)
    return file


def predict_log(value: float) -> prediction_log_pb2.PredictionLog:
    """A predict request for x = value."""
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([[value]], tf.float32))
    return log


def example_logs() -> list[prediction_log_pb2.PredictionLog]:
    """A classify, a regress and a multi-inference request."""
    classify, regress, both = (prediction_log_pb2.PredictionLog() for _ in range(3))
    requests = (classify.classify_log.request, regress.regress_log.request, both.multi_inference_log.request)
    for request in requests:
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(2.0)
    requests[0].model_spec.signature_name = "classify_x_to_y"
    requests[1].model_spec.signature_name = "regress_x_to_y"
    task = requests[2].tasks.add(method_name="tensorflow/serving/regress")
    task.model_spec.name, task.model_spec.signature_name = "m", "regress_x_to_y"
    return [classify, regress, both]


def test_every_kind_of_record_is_replayed(model: SavedModel) -> None:
    logs = [predict_log(2.0), *example_logs()]
    write(model, [log.SerializeToString() for log in logs])
    assert warm_up(model, 1, iterations=2) == 4


def test_a_record_that_fails_fails_the_load(model: SavedModel) -> None:
    broken = predict_log(2.0)
    broken.predict_log.request.model_spec.signature_name = "x"
    write(model, [predict_log(1.0).SerializeToString(), broken.SerializeToString()])
    with pytest.raises(ServingError, match='Serving signature key "x" not found'):
        warm_up(model, 1)


def test_an_empty_file_and_no_file_are_fine(model: SavedModel) -> None:
    file = write(model, [])
    assert warm_up(model, 1) == 0
    file.unlink()
    assert warm_up(model, 1) == 0


def test_as_many_records_as_allowed_and_no_more(model: SavedModel) -> None:
    record = predict_log(1.0).SerializeToString()
    write(model, [record] * MAX_WARMUP_RECORDS)
    assert warm_up(model, 1) == MAX_WARMUP_RECORDS
    write(model, [record] * (MAX_WARMUP_RECORDS + 1))
    with pytest.raises(ServingError, match="Number of warmup records exceeds the maximum") as refused:
        warm_up(model, 1)
    assert refused.value.code.name == "INVALID_ARGUMENT"


def test_what_is_no_record_file_is_data_loss(model: SavedModel) -> None:
    write(model, []).write_bytes(b"neither a length nor a checksum")
    with pytest.raises(ServingError, match="Please verify your warmup data is in TFRecord format") as refused:
        warm_up(model, 1)
    assert refused.value.code.name == "DATA_LOSS"


@pytest.mark.parametrize("content", [b"\xff\xff\xff", b""])
def test_records_that_are_no_prediction_log_are_refused(model: SavedModel, content: bytes) -> None:
    write(model, [content])
    with pytest.raises(ServingError) as refused:
        warm_up(model, 1)
    assert refused.value.code.name == ("INVALID_ARGUMENT" if content else "UNIMPLEMENTED")


def test_session_runs_are_not_replayed(model: SavedModel) -> None:
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.SetInParent()
    write(model, [log.SerializeToString()])
    with pytest.raises(ServingError, match="Unsupported log_type for warmup") as refused:
        warm_up(model, 1)
    assert refused.value.code.name == "UNIMPLEMENTED"
