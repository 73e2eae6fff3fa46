"""models.config and version policies. Imports tensorflow-serving-api."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from serving.model_server import config, textproto
from serving.model_server.errors import ServingError, StartError


def parsed(text: str) -> config_pb2.ModelServerConfig:
    """A configuration from text."""
    return text_format.Parse(text, config_pb2.ModelServerConfig())


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("", [30]), ("latest {}", [30]), ("latest { num_versions: 2 }", [20, 30]), ("all {}", [1, 20, 30]),
        ("specific { versions: 1 versions: 99 }", [1]),
    ],
)  # fmt: skip
def test_policies_choose_versions(policy: str, versions: list[int]) -> None:
    text = f'model_config_list {{ config {{ name: "m" model_version_policy {{ {policy} }} }} }}'
    chosen = parsed(text).model_config_list.config[0].model_version_policy
    assert config.wanted(chosen, [30, 1, 20]) == versions


def test_only_numbers_are_versions(tmp_path: Path) -> None:
    for name in ("1", "20", "staged-3", "tmp", "4.part", "-5", str(2**70)):
        (tmp_path / name).mkdir()
    assert config.versions_on_disk(str(tmp_path)) == {1: f"{tmp_path}/1", 20: f"{tmp_path}/20"}


GOOD = 'config { name: "m" base_path: "/m" model_platform: "tensorflow" }'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{GOOD} {GOOD}", "Illegal to list model m multiple times"),
        (GOOD.replace("tensorflow", "x"), "Model m requests unsupported platform x"),
        (GOOD.replace('model_platform: "tensorflow"', ""), "Illegal setting neither"),
        (GOOD.replace("}", "model_type: TENSORFLOW }"), "Illegal setting both"),
        (GOOD.replace('model_platform: "tensorflow"', "model_type: OTHER"), "model_type choice 2 not supported"),
        (GOOD.replace('"/m"', '"m"'), "absolute path"),
    ],
)
def test_configurations_that_cannot_be_served(text: str, problem: str) -> None:
    with pytest.raises(ServingError, match=problem):
        config.check(parsed(f"model_config_list {{ {text} }}"), None)


def test_a_models_platform_stays() -> None:
    earlier = parsed(f"model_config_list {{ {GOOD} }}")
    with pytest.raises(ServingError, match="For model m platform was tensorflow and new platform requested is x"):
        config.check(parsed(f"model_config_list {{ {GOOD.replace('tensorflow', 'x')} }}"), earlier)


def test_from_a_list_to_a_custom_configuration_is_no_way() -> None:
    earlier = parsed(f"model_config_list {{ {GOOD} }}")
    with pytest.raises(ServingError, match="Cannot transition to requested config") as refused:
        config.check(parsed("custom_model_config { type_url: 'x' }"), earlier)
    assert refused.value.code.name == "FAILED_PRECONDITION"


@pytest.mark.parametrize("content", [b"model_config_list { config {", b"\xff\xfe", b"unknown: 1"])
def test_a_malformed_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "models.config"
    file.write_bytes(content)
    with pytest.raises(ServingError, match=r"models\.config"):
        config.read(str(file))


def test_files_of_messages_that_the_package_lacks(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text('prometheus_config { enable: true path: "/p" }')
    assert textproto.read(str(file), "MonitoringConfig").prometheus_config.path == "/p"
    file.write_text("max_batch_size { value: 3 } allowed_batch_sizes: 3")
    assert textproto.read(str(file), "BatchingParameters").max_batch_size.value == 3
    with pytest.raises(StartError, match="SSLConfig"):
        textproto.read(str(file), "SSLConfig")
