"""Folders in which nothing can be served are named, with what is usually wrong with them. No TensorFlow."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from serving.model_server.config import single_model
from serving.model_server.errors import ServingError
from serving.model_server.manager import Manager, Policies


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
