"""Versions that come and go under a running server."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

from tests.integration.model_server.requests import request
from tests.integration.model_server.servers import Server, eventually


def configuration(base_path: Path, versions: list[int], labels: dict[str, int], name: str = "m") -> str:
    """A models.config as promotion writes it."""
    numbers = " ".join(f"versions: {version}" for version in versions)
    lines = " ".join(f'version_labels {{ key: "{label}" value: {number} }}' for label, number in labels.items())
    return (
        f'model_config_list {{ config {{ name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ {numbers} }} }} {lines} }} }}"
    )


class Site:
    """A server whose configuration file and version folders a test changes."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.models = models
        self.base_path = folder / "m"
        self.base_path.mkdir()
        self.config = folder / "models.config"
        self.publish("half_plus_two/123", 1)
        self.write(configuration(self.base_path, [1], {"stable": 1}))
        self.server = Server(
            folder, f"--model_config_file={self.config}", "--model_config_file_poll_wait_seconds=1",
            "--file_system_poll_wait_seconds", "1", f"--grpc_socket_path={folder}/s", "-max_num_load_retries=0",
            "--allow_version_labels_for_unavailable_models",
        )  # fmt: skip

    def publish(self, model: str, version: int) -> None:
        """A version folder that appears at once."""
        staged = self.base_path / f"staged-{version}"
        shutil.copytree(self.models / model, staged)
        staged.rename(self.base_path / str(version))

    def write(self, text: str) -> None:
        """Replace the configuration file in one step."""
        staged = self.config.with_suffix(".new")
        staged.write_text(text)
        os.replace(staged, self.config)

    def answer(self, label: str | None = None) -> tuple[int, float]:
        """(version, y) for x = 2."""
        message = request("m", x=[2.0])
        if label:
            message.model_spec.version_label = label
        answer = self.server.predictions.Predict(message, timeout=20)
        return answer.model_spec.version.value, answer.outputs["y"].float_val[0]

    def available(self) -> set[int]:
        """Versions that answer."""
        return {version for version, state in self.server.states("m").items() if state == "AVAILABLE"}


@pytest.fixture(scope="module")
def site(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"), models)
    yield made
    made.server.close()


@pytest.fixture
def fresh(site: Site) -> Site:
    """The site with version 1 alone."""
    site.write(configuration(site.base_path, [1], {"stable": 1}))
    eventually(lambda: site.available() == {1})
    for folder in site.base_path.iterdir():
        if folder.name != "1":
            shutil.rmtree(folder)
    eventually(lambda: stable_answers_from(site, 1))
    return site


def stable_answers_from(site: Site, version: int) -> bool:
    """Whether the label has come to `version`; it still names the unloaded one until the file is read again."""
    try:
        return site.answer("stable")[0] == version
    except grpc.RpcError:
        return False


def test_a_label_moves_without_a_failed_request(fresh: Site) -> None:
    problems: list[Exception] = []
    answers: set[tuple[int, float]] = set()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answers.add(fresh.answer("stable"))
            except grpc.RpcError as error:
                problems.append(error)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        fresh.publish("half_plus_two/124", 2)
        fresh.write(configuration(fresh.base_path, [1, 2], {"stable": 1}))
        eventually(lambda: fresh.available() == {1, 2})
        fresh.write(configuration(fresh.base_path, [1, 2], {"stable": 2, "previous": 1}))
        eventually(lambda: fresh.answer("stable") == (2, 4.0))
        assert fresh.answer("previous") == (1, 3.0)
        fresh.write(configuration(fresh.base_path, [2], {"stable": 2}))
        eventually(lambda: fresh.available() == {2})
    finally:
        done.set()
        for thread in asking:
            thread.join()
    assert problems == []
    assert answers == {(1, 3.0), (2, 4.0)}


def test_a_malformed_file_changes_nothing(fresh: Site) -> None:
    fresh.write("model_config_list { config { nam")
    eventually(lambda: "Failed to parse ModelServerConfig file" in fresh.server.log)
    assert fresh.answer("stable") == (1, 3.0)
    assert fresh.available() == {1}


def test_a_request_in_flight_is_answered_by_the_version_it_started_on(fresh: Site) -> None:
    fresh.publish("slow/1", 5)
    fresh.write(configuration(fresh.base_path, [1, 5], {"stable": 1}))
    eventually(lambda: fresh.available() == {1, 5})
    message = request("m", x=[2.0])
    message.model_spec.version.value = 5
    pending = fresh.server.predictions.Predict.future(message, timeout=60)
    fresh.write(configuration(fresh.base_path, [1], {"stable": 1}))
    eventually(lambda: fresh.server.states("m")[5] in ("UNLOADING", "END"))
    assert pending.result().outputs["y"].float_val[0] == 102.0
    eventually(lambda: fresh.server.states("m")[5] == "END")


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(fresh: Site) -> None:
    (fresh.base_path / "7").mkdir()
    (fresh.base_path / "7" / "saved_model.pb").write_bytes(b"not a model")
    fresh.write(configuration(fresh.base_path, [7], {}))
    eventually(lambda: fresh.server.states("m").get(7) == "END")
    assert fresh.answer() == (1, 3.0)
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "m"
    message.model_spec.version.value = 7
    (row,) = fresh.server.models.GetModelStatus(message, timeout=20).model_version_status
    assert row.status.error_code != 0
    assert row.status.error_message


def test_a_deleted_folder_is_unloaded_and_may_come_again(fresh: Site) -> None:
    fresh.publish("half_plus_two/124", 3)
    fresh.write(configuration(fresh.base_path, [1, 3], {"stable": 1}))
    eventually(lambda: fresh.available() == {1, 3})
    shutil.rmtree(fresh.base_path / "3")
    eventually(lambda: fresh.available() == {1})
    fresh.publish("half_plus_two/123", 3)
    eventually(lambda: fresh.available() == {1, 3})
    assert fresh.answer() == (3, 3.0)


def test_the_unix_socket_serves_too(fresh: Site) -> None:
    assert f"Running gRPC ModelServer at UNIX socket {fresh.config.parent}/s ..." in fresh.server.log
    with grpc.insecure_channel(f"unix:{fresh.config.parent}/s") as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        assert call(request("m", x=[2.0]).SerializeToString(), timeout=20)


def test_reload_over_grpc_adds_and_removes_models(fresh: Site, models: Path) -> None:
    def reload(text: str) -> model_management_pb2.ReloadConfigResponse:
        message = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(text, message.config)
        message.metric_names.extend(["/tensorflow/serving/request_count", "/made/up"])
        return fresh.server.models.HandleReloadConfigRequest(message, timeout=30)

    def refused(text: str) -> tuple[str, str]:
        with pytest.raises(grpc.RpcError) as failure:
            reload(text)
        return failure.value.code().name, failure.value.details()

    config = configuration(models / "half_plus_two", [123], {}, name="other")
    fresh.write(config)  # the file is polled as well, and must not say otherwise
    answer = reload(config)
    assert (answer.HasField("status"), answer.status.error_code) == (True, 0)
    assert [row.name for row in answer.metric] == ["/tensorflow/serving/request_count", "/made/up"]
    assert fresh.server.predictions.Predict(request("other", x=[2.0]), timeout=20).outputs["y"].float_val[0] == 3.0
    eventually(lambda: fresh.available() == set())
    one = config.removeprefix("model_config_list {").removesuffix("}")
    code, text = refused(f"model_config_list {{ {one} {one} }}")
    assert (code, text) == ("INVALID_ARGUMENT", "Illegal to list model other multiple times in config list")
    code, text = refused(config.replace('"tensorflow"', '"sklearn"'))
    assert (code, text) == ("INVALID_ARGUMENT", "Illegal to change a model's platform. For model other platform was "
                            "tensorflow and new platform requested is sklearn")  # fmt: skip
    code, text = refused("custom_model_config { type_url: 'x' }")
    assert code == "INVALID_ARGUMENT"


def test_termination_lets_requests_finish(models: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    shutil.copytree(models / "slow" / "1", tmp_path / "m" / "1")
    server = Server(tmp_path, f"--model_base_path={tmp_path}/m", "--model_name=slow")
    pending = [server.predictions.Predict.future(request("slow", x=[float(i)]), timeout=60) for i in range(2)]
    over_rest = server.http.build_request("POST", "/v1/models/slow:predict", json={"instances": [7.0]})
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(server.http.send(over_rest).json()))
    asking.start()
    time.sleep(0.5)  # the requests are under way; each takes seconds
    server.process.terminate()
    assert [call.result().outputs["y"].float_val[0] for call in pending] == [100.0, 101.0]
    asking.join()
    assert answers == [{"predictions": [107.0]}]
    assert server.process.wait(40) == 0
    server.close()
