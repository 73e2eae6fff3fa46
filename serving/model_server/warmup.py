"""Replays the requests that a SavedModel brings along, so that the first client does not pay for first-time work."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.model_server.errors import ServingError, invalid
from serving.model_server.examples import classify, multi_inference, regress
from serving.model_server.model import SavedModel
from serving.model_server.predict import PredictOptions, predict

log = logging.getLogger(__name__)
WARMUP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
MAX_WARMUP_RECORDS = 1000


def warm_up(model: SavedModel, version: int, iterations: int = 1) -> int:
    """Replay every record `iterations` times; returns how many there are. Raises ServingError for a wrong file."""
    path = f"{model.path}/{WARMUP_FILE}"
    # The lines of the original, by which the tutorial on warm-up finds out whether it worked.
    if not tf.io.gfile.exists(path):
        log.info("No warmup data file found at %s", path)
        return 0
    log.info("Starting to read warmup data for model at %s", path)
    count, started = 0, time.monotonic()
    for record in _records(path):
        count += 1
        if count > MAX_WARMUP_RECORDS:
            raise invalid(f"Number of warmup records exceeds the maximum ({MAX_WARMUP_RECORDS}) at {path}")
        for _ in range(iterations):
            _replay(model, version, record)
    log.info(
        "Finished reading warmup data for model at %s. Number of warmup records read: %d. Elapsed time (microseconds): "
        "%d.", path, count, (time.monotonic() - started) * 1e6,
    )  # fmt: skip
    return count


def _records(path: str) -> Iterator[prediction_log_pb2.PredictionLog]:
    try:
        for data in tf.compat.v1.io.tf_record_iterator(path):
            yield prediction_log_pb2.PredictionLog.FromString(data)
    except DecodeError:
        raise invalid(f"Failed to parse warmup record: it is no PredictionLog, from {path}") from None
    except tf.errors.DataLossError as error:
        raise ServingError(
            grpc.StatusCode.DATA_LOSS, f"{error.message}. Please verify your warmup data is in TFRecord format."
        ) from None


def _replay(model: SavedModel, version: int, record: prediction_log_pb2.PredictionLog) -> None:
    kind = record.WhichOneof("log_type")
    if kind == "predict_log":
        predict(model, version, record.predict_log.request, PredictOptions())
    elif kind == "classify_log":
        classify(model, record.classify_log.request.model_spec, record.classify_log.request.input)
    elif kind == "regress_log":
        regress(model, record.regress_log.request.model_spec, record.regress_log.request.input)
    elif kind == "multi_inference_log":
        multi_inference(model, version, record.multi_inference_log.request)
    else:
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
