"""Folders in which nothing can be served are named, with what is usually wrong with them. No TensorFlow."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from serving.model_server.config import single_model
from serving.model_server.errors import ServingError
from serving.model_server.manager import Manager, Policies
from serving.model_server.versions import State


def looked_at(config: config_pb2.ModelServerConfig, times: int = 3) -> None:
    """A manager that looks for versions, and loads none."""

    def load(name: str, number: int, path: str) -> object:
        raise AssertionError

    manager = Manager(load, Policies(load_retries=0))  # type: ignore[arg-type]
    with pytest.raises(ServingError, match="Stopped waiting"):
        manager.reload(config, give_up=lambda: True)
    for _ in range(times):
        manager._scan()
    manager.stop()


@pytest.mark.parametrize("made", ["saved_model.pb", "v1/saved_model.pb", "variables/variables.index", None])
def test_a_folder_without_a_number_in_it_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, made: str | None
) -> None:
    if made:
        (tmp_path / made).parent.mkdir(exist_ok=True)
        (tmp_path / made).touch()
    caplog.set_level(logging.WARNING)
    looked_at(single_model("m", str(tmp_path)))
    assert caplog.text.count(f"No versions of servable m found under base path {tmp_path}.") == 1
    assert "Did you forget to name your leaf directory as a number (eg. '/1/')?" in caplog.text
    assert "The server waits for it, and answers nobody until then." in caplog.text
    assert ("This folder is a version itself" in caplog.text) is (made == "saved_model.pb")


def test_a_folder_that_is_not_there_is_waited_for_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    looked_at(single_model("m", str(tmp_path / "m")))
    assert caplog.text.count("Could not find base path") == 1
    assert "No such file or directory" in caplog.text
    assert "The server waits for it, and answers nobody until then." in caplog.text


def test_how_often_and_when_a_version_is_tried_again_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "1").mkdir()

    def load(*_: object) -> None:
        raise ValueError("broken")

    caplog.set_level(logging.INFO)
    manager = Manager(load, Policies(load_retries=2, retry_seconds=0.001))  # type: ignore[arg-type]
    with pytest.raises(ServingError):
        manager.reload(single_model("m", str(tmp_path)))
    end = time.monotonic() + 20
    while manager.status("m")[0][1] is not State.END:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    manager.stop()
    told = [record.getMessage() for record in caplog.records if "tried again" in record.getMessage()]
    assert told == [f"{{name: m version: 1}} is tried again in 0.001 s, {left} times at most" for left in (2, 1)]


def test_a_version_that_is_asked_for_and_not_there_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "1").mkdir()
    config = single_model("m", str(tmp_path))
    config.model_config_list.config[0].model_version_policy.specific.versions.extend([1, 7])
    caplog.set_level(logging.WARNING)
    manager = Manager(lambda *_: None, Policies())  # type: ignore[arg-type, return-value]
    manager._config = config
    manager._scan()
    manager.stop()
    assert "Version 7 of servable m, which was requested to be served as a 'specific' version" in caplog.text
    assert "No versions" not in caplog.text


class Loaded:
    """Stands for a model."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def manager() -> Iterator[Manager]:
    """That loads whatever it finds."""
    made = Manager(lambda *_: Loaded(), Policies(load_retries=0))  # type: ignore[arg-type, return-value]
    yield made
    made.stop()


def test_a_label_may_name_a_version_that_the_same_configuration_loads(tmp_path: Path, manager: Manager) -> None:
    (tmp_path / "1").mkdir()
    config = single_model("m", str(tmp_path))
    config.model_config_list.config[0].version_labels["stable"] = 1
    manager.reload(config)
    with manager.lease("m", label="stable") as leased:
        assert leased.version.number == 1


def test_a_label_that_names_no_version_is_refused_and_its_models_are_served(tmp_path: Path, manager: Manager) -> None:
    (tmp_path / "1").mkdir()
    config = single_model("m", str(tmp_path))
    config.model_config_list.config[0].version_labels["stable"] = 9
    with pytest.raises(
        ServingError, match="label to version 9 of model m, which is not currently available"
    ) as refused:
        manager.reload(config)
    assert refused.value.code.name == "FAILED_PRECONDITION"
    assert [row[:2] for row in manager.status("m")] == [(1, State.AVAILABLE)]


def test_who_asks_for_a_log_of_requests_is_told_once_that_there_is_none(
    tmp_path: Path, manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "1").mkdir()
    config = single_model("m", str(tmp_path))
    config.model_config_list.config[0].logging_config.sampling_config.sampling_rate = 0.5
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        manager.reload(config)
    assert caplog.text.count("logging_config of model m is without effect: requests are not logged.") == 1


def test_models_load_side_by_side_before_anything_is_answered_and_then_as_many_as_asked_for(tmp_path: Path) -> None:
    config = config_pb2.ModelServerConfig()
    for name in "abcd":
        (tmp_path / name / "1").mkdir(parents=True)
    beside, lock = [0], threading.Lock()
    together = threading.Barrier(2)

    def load(name: str, number: int, path: str) -> Loaded:
        with lock:
            beside[0] += 1
            most[0] = max(most[0], beside[0])
        if name in "ab":
            together.wait(30)  # raises where the other one does not come meanwhile
        else:
            time.sleep(0.05)
        with lock:
            beside[0] -= 1
        return Loaded()

    manager = Manager(load, Policies(load_retries=0, load_threads=1, first_load_threads=4))  # type: ignore[arg-type]
    for names, expected in (("ab", 2), ("abcd", 1)):
        most = [0]
        config.Clear()
        for name in names:
            config.model_config_list.config.add(name=name, base_path=str(tmp_path / name), model_platform="tensorflow")
        manager.reload(config)
        assert most == [expected]
    manager.stop()
