"""What flags add: batching, metrics, warm-up, failures at start."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.model_server.requests import refusal, request
from tests.integration.model_server.servers import Server, eventually


def write_warmup(version: Path, records: list[bytes]) -> None:
    """The warm-up file of a version folder."""
    import tensorflow as tf

    folder = version / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for record in records:
            writer.write(record)


def predict_log(count: int) -> list[bytes]:
    """`count` records for the model that halves and adds."""
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request("m", x=[1.0]))
    return [log.SerializeToString()] * count


@pytest.fixture(scope="module")
def batching(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a model with three warm-up records, with batching, metrics and checked method names."""
    folder = tmp_path_factory.mktemp("options")
    shutil.copytree(models / "half_plus_two" / "124", folder / "m" / "124")
    write_warmup(folder / "m" / "124", predict_log(3))
    (folder / "batching").write_text(
        "max_batch_size { value: 4 } batch_timeout_micros { value: 20000 } num_batch_threads { value: 2 } "
        "max_enqueued_batches { value: 100 } allowed_batch_sizes: 2 allowed_batch_sizes: 4"
    )
    (folder / "monitoring").write_text('prometheus_config { enable: true path: "/metrics" }')
    (folder / "models").write_text(
        f"""model_config_list {{
          config {{ name: "counter" base_path: "{models}/counter" model_platform: "tensorflow" }}
          config {{ name: "m" base_path: "{folder}/m" model_platform: "tensorflow" }} }}"""
    )
    running = Server(
        folder, f"--model_config_file={folder}/models", "--enable_batching",
        "--enable_signature_method_name_check=true",
        f"--batching_parameters_file={folder}/batching", f"--monitoring_config_file={folder}/monitoring",
    )  # fmt: skip
    yield running
    running.close()


def test_warm_up_records_have_run_before_the_first_request(batching: Server) -> None:
    read = "Finished reading warmup data for model at "
    assert (
        f"{batching.log_file.parent}/m/124/assets.extra/tf_serving_warmup_requests. Number of warmup records read: 3."
        in (batching.log.partition(read)[2])
    )
    assert "No warmup data file found at " in batching.log  # of the other model


def test_operators_find_the_lines_they_search_for(batching: Server) -> None:
    for words in ("Loading servable version", "Successfully loaded servable version"):
        assert f"{words} {{name: m version: 124}}" in batching.log
    assert f"Running gRPC ModelServer at 127.0.0.1:{batching.port} ..." in batching.log
    assert f"Exporting HTTP/REST API at:127.0.0.1:{batching.rest_port} ..." in batching.log


def test_each_request_of_a_batch_gets_its_own_answer(batching: Server) -> None:
    def ask(number: int) -> list[float]:
        rows = [float(number + row) for row in range(1 + number % 3)]
        return list(batching.predictions.Predict(request("m", x=rows), timeout=20).outputs["y"].float_val)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(200)))
    assert answers == [[(n + row) * 0.5 + 3 for row in range(1 + n % 3)] for n in range(200)]


def test_signatures_say_themselves_what_they_are_for_where_that_is_checked(batching: Server) -> None:
    code, message = refusal(batching.predictions.Predict, request("m", "of_another_method", x=[1.0]))
    assert (code, "Was: tensorflow/serving/something" in message) == ("INTERNAL", True)
    predict = {"signature_name": "of_another_method", "instances": [1.0]}
    answer = batching.http.post("/v1/models/m:predict", json=predict)
    assert (answer.status_code, "Was: tensorflow/serving/something" in answer.text) == (500, True)
    for verb, signature in (("classify", "regress_x_to_y"), ("regress", "classify_x_to_y")):
        body = {"signature_name": signature, "examples": [{"x": 1.0}]}
        answer = batching.http.post(f"/v1/models/m:{verb}", json=body)
        assert (answer.status_code, "signature method_name to be" in answer.text) == (400, True)


def test_more_rows_than_a_batch_holds_are_refused(batching: Server) -> None:
    code, message = refusal(batching.predictions.Predict, request("m", x=[1.0] * 5))
    assert (code, message) == ("INVALID_ARGUMENT", "Task size 5 is larger than maximum input batch size 4")


def test_a_signature_without_inputs_is_told_of_but_not_run_while_requests_are_batched(batching: Server) -> None:
    code, message = refusal(batching.predictions.Predict, request("counter", "get_counter"))
    assert (code, message) == ("INVALID_ARGUMENT", "Batching Run() must have at least one input tensor")
    signatures = batching.http.get("/v1/models/counter/metadata").json()["metadata"]["signature_def"]["signature_def"]
    assert list(signatures["get_counter"]["outputs"]) == ["output"]


def test_metrics_count_requests_by_status_and_time_what_was_answered(batching: Server) -> None:
    batching.predictions.Predict(request("m", x=[1.0]), timeout=20)
    refusal(batching.predictions.Predict, request("m", "x", x=[1.0]))
    refusal(batching.predictions.Predict, request("made_up", x=[1.0]))
    batching.http.post("/v1/models/m:predict", json={"instances": [1.0]})
    answer = batching.http.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain")
    assert "# TYPE :tensorflow:serving:request_count counter" in answer.text
    assert ':tensorflow:serving:request_count{model_name="m",status="FAILED_PRECONDITION"} 1' in answer.text
    assert ':tensorflow:serving:request_latency_count{model_name="m",API="predict",entrypoint="REST"} 1' in answer.text
    assert ':tensorflow:serving:request_count{model_name="made_up",status="NOT_FOUND"} 1' in answer.text
    assert ':tensorflow:serving:request_latency_count{model_name="made_up"' not in answer.text
    assert "# TYPE :tensorflow:serving:runtime_latency histogram" in answer.text
    batching.http.get("/v1/nothing")
    batching.http.post("/v1/models/m:explain")
    text = batching.http.get("/metrics").text
    assert ':request_count{model_name="",status="INVALID_ARGUMENT"} 2' in text  # what means nothing has no model
    runs = re.search(r':runtime_latency_count\{model_name="m",API="Predict",runtime="TF1"\} (\d+)', answer.text)
    assert runs and int(runs[1]) >= 2


def run_to_end(*flags: str) -> tuple[int, str]:
    """(exit code, everything written) of a server that cannot start."""
    command = [sys.executable, "-m", "serving.model_server", "--port=0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env={"PYTHONPATH": ":".join(sys.path)})
    return done.returncode, done.stdout + done.stderr


def test_a_model_that_cannot_be_loaded_ends_the_start(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "counter" / "1", tmp_path / "1")
    (tmp_path / "1" / "assets.extra").mkdir()
    (tmp_path / "1" / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no records at all")
    code, text = run_to_end(
        f"--grpc_socket_path={tmp_path}/s", f"--model_base_path={tmp_path}", "--max_num_load_retries=1",
        "--load_retry_interval_micros=1000",
    )  # fmt: skip
    assert code == 4
    assert "Failed to start server. Error: " in text
    assert "1 servable(s) did not become available" in text
    assert "Please verify your warmup data is in TFRecord format" in text
    assert text.count("Loading default version 1 failed") == 2


def test_the_version_is_told_in_the_words_of_the_original() -> None:
    code, text = run_to_end("--version")
    assert code == 0
    assert re.fullmatch(
        r"TensorFlow ModelServer: [\d.]+ \(Trainyard [\d.]+\S*\)\nTensorFlow Library: [\d.]+\S*\n", text
    )


def test_a_configuration_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("model_config_list: 3 {")
    socket_flag = f"--grpc_socket_path={tmp_path}/s"
    # The image's entry point always passes --model_base_path.
    code, text = run_to_end(socket_flag, f"--model_config_file={tmp_path}/models", "--model_base_path=/models/model")
    assert code == 2
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig: 1:" in text
    assert "--model_base_path is ignored" in text


def test_an_empty_version_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    code, text = run_to_end(
        f"--grpc_socket_path={tmp_path}/s", f"--model_base_path={tmp_path}/m", "--max_num_load_retries=0"
    )
    assert code == 4
    assert "NOT_FOUND: Could not find SavedModel .pb or .pbtxt at supplied export directory path" in text


def test_wrong_flags_and_a_taken_port_are_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = run_to_end(f"--port={port}", "--model_base_path=/m")
        assert (code, text.count("\n")) == (6, 1)
        assert f"Cannot listen on 127.0.0.1:{port} (Address already in use): choose another port" in text
    code, text = run_to_end("--port=7", "--host=192.0.2.1", "--model_base_path=/m")
    assert (code, text.count("\n")) == (6, 1)
    assert "this machine has no such address; --host=0.0.0.0 stands for all that it has" in text
    for flags in (
        ["--nonsense=1"],
        [f"--grpc_socket_path={tmp_path}/s"],
        ["--model_base_path=/m"],
        ["--port=1x", "--model_base_path=/m"],
        ["--port=7", "--model_base_path=/m", "--batching_parameters_file=/b"],
        ["--port=7", "--model_base_path=/m", "--use_alts_credentials"],
    ):
        code, text = run_to_end(*flags)
        assert (code, text.count("\n")) == (2, 1), text
        assert text.startswith("error: ")


def test_a_folder_without_versions_is_waited_for(models: Path, tmp_path: Path) -> None:
    server = Server(tmp_path, f"--model_base_path={tmp_path}/m", "--model_name=m", wait=False)
    try:
        eventually(lambda: "Could not find base path" in server.log, 60)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", server.port)) != 0
        staged = tmp_path / "staged"
        shutil.copytree(models / "half_plus_two" / "123", staged / "1")
        staged.rename(tmp_path / "m")
        server.wait_until_serving()
        assert server.predictions.Predict(request("m", x=[2.0]), timeout=20).outputs["y"].float_val[0] == 3.0
    finally:
        server.close()
